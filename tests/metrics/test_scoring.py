"""Scoring a corpus: values, intervals, breakdown, and that order and workers change nothing."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import texlens
from texlens.errors import InputError, TexlensError
from texlens.metrics import columns
from texlens.metrics.base import Drawings, ItemScore, Pair
from texlens.metrics.batches import ScoringConfig, score_batches
from texlens.metrics.registry import KEYS, build_metrics, check_keys
from texlens.metrics.scoring import score_predictions
from texlens.metrics.text.exact import ExactMatch
from texlens.records import Prediction, Score

# All metrics but TeX's.
HERE = tuple(key for key in KEYS if key != "compiles")
PAIRS = [
    (r"\frac{a}{b} + c", r"\frac{a}{b} + c"),
    (r"\frac{a}{b} + c", r"\frac{a}{d} + c"),
    (r"x^2", r"x_2"),
    (r"\sqrt{x+1}", ""),
    (r"\alpha\beta", r"\alpha\beta\gamma"),
    (r"\sum_{i=1}^n i", r"\sum_{i=1}^n \frac{i"),
    (r"\begin{array}{c} a \\ b \end{array}", r"\begin{array}{c} a \\ c \end{array}"),
]


def predictions(pairs: Sequence[tuple[str, str]]) -> list[Prediction]:
    return [Prediction(str(n), gt, pred) for n, (gt, pred) in enumerate(pairs)]


def without_items(scores: dict[str, Score]) -> list[object]:
    return [(s.key, s.value, s.value_lower, s.n, s.n_truth_failed, s.ci) for s in scores.values()]


def test_every_key_of_the_design_has_a_score() -> None:
    scores = texlens.score(PAIRS, HERE, cache=False)
    assert tuple(scores) == HERE
    for key, score in scores.items():
        assert score.signature.startswith(f"{key}|"), key
        assert "version:" in score.signature
        assert len(score.items) == len(PAIRS)
        assert score.value is not None
        assert 0 <= score.value <= 1
        assert score.ci is not None
        assert 0 <= score.ci[0] <= score.ci[1] <= 1
    assert len({score.signature for score in scores.values()}) == len(HERE)


def test_the_mean_of_exact_is_counted_by_hand() -> None:
    score = texlens.score([("x", "x"), ("x", "y"), ("x", "x"), ("x", "z")], ["exact"])["exact"]
    assert (score.value, score.n, score.items) == (0.5, 4, (1.0, 0.0, 1.0, 0.0))
    assert score.ci == (0.0, 1.0)


def test_the_interval_is_that_of_the_share_it_estimates() -> None:
    pairs = [("x", "x")] * 70 + [("x", "y")] * 30
    low, high = texlens.score(pairs, ["exact"])["exact"].ci or (0, 0)
    half_width = 1.96 * (0.7 * 0.3 / 100) ** 0.5
    assert (low, high) == (
        pytest.approx(0.7 - half_width, abs=0.02),
        pytest.approx(0.7 + half_width, abs=0.02),
    )


def test_resampling_in_pieces_is_resampling_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = np.random.default_rng(1).random((37, 3))
    whole = columns.resampled_totals(statistics)
    monkeypatch.setattr(columns, "_COUNTS_AT_ONCE", 37 * 11)
    np.testing.assert_allclose(columns.resampled_totals(statistics), whole, rtol=1e-12)


def test_a_reference_that_cannot_be_drawn_counts_in_value_lower_alone() -> None:
    pairs = [("x", "x"), (r"\frac{", "x"), ("y", "y")]
    for key in ("cdm", "layout"):
        score = texlens.score(pairs, [key], cache=False)[key]
        assert score.items == (1.0, None, 1.0), key
        assert (score.value, score.n, score.n_truth_failed) == (1.0, 2, 1)
        assert score.value_lower == pytest.approx(2 / 3)


def test_a_prediction_that_cannot_be_drawn_scores_0() -> None:
    scores = texlens.score([("x", r"\frac{")], ["cdm", "exprate_cdm", "layout", "exprate_layout"])
    assert {score.value for score in scores.values()} == {0.0}


def test_pairs_may_be_tuples_mappings_or_predictions() -> None:
    forms = [("x", "y"), {"gt": "x", "pred": "y"}, Prediction("1", "x", "y")]
    assert texlens.score(forms, ["exact"])["exact"].n == 3


@pytest.mark.parametrize("wrong", ["xy", ("x",), {"gt": "x"}, ("x", None), 3])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="Pair 1"):
        texlens.score([("x", "x"), wrong])  # type: ignore[list-item]


def test_nothing_to_score_and_unknown_keys_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        texlens.score([])
    with pytest.raises(InputError, match="'cdn' is no metric: choose from bleu"):
        texlens.score(PAIRS, ["cdn"])
    with pytest.raises(InputError):
        check_keys([])


def test_the_order_of_pairs_changes_nothing() -> None:
    shuffled = predictions(PAIRS * 3)
    shuffled = [Prediction(str(n), p.gt, p.pred) for n, p in enumerate(shuffled)]
    plan = ScoringConfig(HERE, cache=False)
    straight = score_predictions(shuffled, plan, quiet=True)
    random.Random(3).shuffle(shuffled)
    mixed = score_predictions(shuffled, plan, quiet=True)
    assert without_items(mixed.scores) == without_items(straight.scores)
    assert mixed.breakdown == straight.breakdown


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing() -> None:
    many = predictions(PAIRS * 40)
    one, three = (
        score_predictions(many, ScoringConfig(HERE, cache=False), workers=workers, quiet=True)
        for workers in (1, 3)
    )
    assert three.scores == one.scores
    assert three.items == one.items


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([r"\frac{x}{y}", "x^{2}", r"\sqrt{a}", "+", r"\alpha_{i}", "1"]),
            st.text(max_size=20),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_drawable_formula_is_perfect_against_itself_and_all_values_are_bounded(
    parts: list[tuple[str, str]],
) -> None:
    formula = " ".join(part for part, _ in parts)
    scoring = score_predictions(
        predictions([(formula, formula), (formula, parts[0][1])]),
        ScoringConfig(HERE, cache=False),
        quiet=True,
    )
    itself, other = scoring.items
    for metric in build_metrics(HERE):
        for key in metric.keys:
            if key in HERE:
                assert itself.values[key] == (0.0 if metric.lower_is_better else 1.0), key
                value = other.values[key]
                assert value is not None, key
                assert 0 <= value <= 1, key


HOSTILE = {
    "a megabyte": r"\alpha + " * 120_000,
    "deep braces": "{" * 10_000 + "}" * 10_000,
    "a definition that expands itself": r"\def\x{\x\x}\x",
    "NUL": "\0",
    "lone surrogate": "\ud800 \\frac{\udfff}",
    "right-to-left mark": "\u202e\u200f",
    "a file": r"\input{/etc/passwd}",
    "a shell": r"\immediate\write18{id}",
    "a huge rule": r"\rule{100000em}{100000em}",
    "commands without arguments": r"\frac" * 3000,
    "script": "</script><script>alert(1)</script>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_predictions_score_next_to_nothing(name: str) -> None:
    reference = r"\frac{q}{w} = \beta ^ { 7 }"
    keys = [key for key in HERE if not key.startswith(("edit_", "empty", "loop", "unfinished"))]
    scoring = score_predictions(
        predictions([(reference, HOSTILE[name]), (reference, reference)]), ScoringConfig(tuple(keys), cache=False),
        quiet=True,
    )  # fmt: skip
    hostile, good = scoring.items
    for key in ("exact", "exprate", "exprate_2", "exprate_cdm", "exprate_layout"):
        assert hostile.values[key] == 0, key
    for key in ("bleu", "rouge_l", "rouge_l_tokens", "cdm", "layout"):
        value = hostile.values[key]
        assert value is not None, key
        assert value < 0.4, key  # a brace or two in common
    assert good.values["layout"] == good.values["cdm"] == 1


def test_the_breakdown_groups_by_length_lines_arrays_and_source() -> None:
    items = [
        Prediction("1", "x", "x", {"source": "a"}),
        Prediction("2", "x + " * 10 + "y", "x", {"source": "b"}),
        Prediction("3", r"\begin{matrix} a \\ b \\ \end{matrix}", "x", {"source": "b"}),
    ]
    breakdown = score_predictions(items, ScoringConfig(("exact",)), quiet=True).breakdown
    named = {
        kind: [(group.name, group.n, group.values["exact"]) for group in groups]
        for kind, groups in breakdown.items()
    }
    assert named == {
        "length": [("1-10", 2, 0.5), ("11-25", 1, 0.0)],
        "lines": [("1", 2, 0.5), ("2", 1, 0.0)],
        "arrays": [("none", 2, 0.5), ("array, matrix, cases or the like", 1, 0.0)],
        "source": [("a", 1, 1.0), ("b", 2, 0.0)],
    }


def test_more_than_one_percent_of_undrawable_references_gives_a_warning() -> None:
    scoring = score_predictions(
        predictions([("x", "x"), (r"\frac{", "x")]),
        ScoringConfig(("layout",), cache=False),
        quiet=True,
    )
    assert "1 of 2 references (50.0%) cannot be drawn" in scoring.warnings[0]


def test_the_self_test_stops_a_run_whose_metric_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare_with_nothing(
        self: ExactMatch, pairs: Sequence[Pair], drawings: Drawings
    ) -> list[ItemScore]:
        return [ItemScore({"exact": 0.0}) for _ in pairs]

    monkeypatch.setattr(ExactMatch, "score_items", compare_with_nothing)
    with pytest.raises(
        TexlensError, match=r"self-test failed: the reference of '0'.*exact 0, not 1"
    ):
        score_predictions(predictions(PAIRS), ScoringConfig(("exact",)), self_test=True, quiet=True)


def test_without_tex_compiles_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    scoring = score_predictions(
        predictions(PAIRS), ScoringConfig(("compiles", "exact")), quiet=True
    )
    score = scoring.scores["compiles"]
    assert (score.value, score.ci, score.n, score.n_truth_failed) == (None, None, 0, 0)
    assert "TeX is not installed" in scoring.warnings[0]


@pytest.mark.slow
def test_with_tex_compiles_is_the_share_that_compiles(pdflatex: str) -> None:
    pairs = [("x", r"$\frac{a}{b}$"), ("x", r"\frac{a}{"), ("x", r"\undefined"), ("x", "")]
    score = texlens.score(pairs, ["compiles"])["compiles"]
    assert score.items == (1.0, 0.0, 0.0, 0.0)


def test_threads_that_score_first_at_once_all_get_their_scores() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
from texlens import score
pair = [(r"\\frac { a } { b }", r"\\frac { a } { c }")]
with ThreadPoolExecutor(4) as pool:
    jobs = [pool.submit(score, pair) for _ in range(4)]
print(len({str({key: s.value for key, s in job.result().items()}) for job in jobs}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "1", done.stderr


def test_what_a_run_that_was_cut_short_has_scored_is_not_scored_again(tmp_path: Path) -> None:
    predictions = [Prediction(str(n), f"x ^ {n}", f"x ^ {n % 7}") for n in range(2200)]
    config = ScoringConfig(("bleu", "exact"), cache=False)
    expected = list(score_batches(predictions, config))
    scored = score_batches(predictions, config, keep=tmp_path)
    for _ in range(2100):
        next(scored)
    scored.close()
    (kept,) = tmp_path.iterdir()
    assert list(score_batches(predictions, config, keep=tmp_path)) == expected
    content = kept.read_bytes().replace(b'"exact": 0.0', b'"exact": 0.5')
    kept.write_bytes(content)
    again = list(score_batches(predictions, config, keep=tmp_path))
    assert any(result.values["exact"] == 0.5 for result in again)  # it was read, not scored
    other = ScoringConfig(("bleu", "exact"), "tex", cache=False)
    assert list(score_batches(predictions, other, keep=tmp_path)) == expected
