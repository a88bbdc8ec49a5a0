"""Faults of ours cost the item its value and nothing else; what is over a limit is scored."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from texlens.cli import main
from texlens.engine import Failure, get_engine
from texlens.engine.limits import MAX_CHARACTERS, MAX_GLYPHS, MAX_NESTING
from texlens.errors import TexlensError
from texlens.metrics import batches
from texlens.metrics.base import Pair
from texlens.metrics.batches import FAULT, BatchScorer, ItemResult, ScoringConfig, score_batches
from texlens.metrics.scoring import Scoring, score_predictions
from texlens.metrics.text.bleu import Bleu
from texlens.metrics.text.exact import ExactMatch
from texlens.records import Prediction
from texlens.workers import get_pool

CONFIG = ScoringConfig(("bleu", "exact", "katex_valid", "cdm", "layout"), cache=False)
GUILTY = "g u i l t y"


def predictions(n: int, guilty: Sequence[int] = ()) -> list[Prediction]:
    return [
        Prediction(str(i), f"x _ {{ {i} }} + y", GUILTY if i in guilty else f"x _ {{ {i} }} + z")
        for i in range(n)
    ]


def score(pairs: Sequence[Prediction], config: ScoringConfig = CONFIG) -> Scoring:
    return score_predictions(pairs, config, quiet=True)


@pytest.fixture
def broken_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bleu` and `exact` raise on the guilty item."""
    for kind in (Bleu, ExactMatch):
        sound = kind.score_items

        def broken(self: object, pairs: Sequence[Pair], drawings: object, sound=sound):  # type: ignore[no-untyped-def]
            if any(pair.pred == GUILTY for pair in pairs):
                raise ZeroDivisionError("of a library")
            return sound(self, pairs, drawings)

        monkeypatch.setattr(kind, "score_items", broken)


def test_a_metric_that_raises_gives_null_for_that_item_alone(broken_metrics: None) -> None:
    scoring, without = score(predictions(9, [4])), score(predictions(9)[:4] + predictions(9)[5:])
    result = scoring.items[4]
    assert (result.values["bleu"], result.values["exact"]) == (None, None)
    assert result.values["layout"] is not None
    assert result.faults == ("bleu", "exact")
    assert f"{FAULT}: exact: ZeroDivisionError: of a library" in result.warnings
    assert not any(item.faults for item in scoring.items[:4] + scoring.items[5:])
    for key in ("bleu", "exact"):
        found, expected = scoring.scores[key], without.scores[key]
        assert (found.value, found.n) == (expected.value, 8)
        assert (found.n_truth_failed, found.n_faults) == (0, 1)
        assert found.value_lower == expected.value_lower
    assert scoring.scores["cdm"].n_faults == 0
    assert "1 of 9 items have no exact because of faults" in " ".join(scoring.warnings)


def test_a_scoring_of_faults_alone_has_no_value(broken_metrics: None) -> None:
    scores = score(predictions(2, [0, 1])).scores
    assert (scores["bleu"].value, scores["bleu"].n_faults) == (None, 2)


def test_an_engine_without_verdict_gives_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics of one pair, where the engine has a fault on its reference or its prediction."""
    fault = Failure("ended its process (signal 11)", None, "fault")
    for name in ("draw", "parse"):
        monkeypatch.setattr(get_engine(), name, lambda formulas: [fault for _ in formulas])
    (result,) = BatchScorer(CONFIG).score(predictions(1))
    assert result.faults == ("katex_valid", "cdm", "layout")
    assert f"{FAULT}: cdm: EngineFault: the formula ended its process" in " ".join(result.warnings)
    assert result.values["bleu"] is not None


def test_a_text_that_breaks_the_normal_form_gives_null(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Pair.of

    def of(gt: str, pred: str, **rest: object) -> Pair:
        if pred == GUILTY:
            raise IndexError("of ours")
        return honest(gt, pred, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Pair, "of", of)
    results = BatchScorer(CONFIG).score(predictions(5, [2]))
    assert [bool(result.faults) for result in results] == [False, False, True, False, False]
    assert results[2].faults == CONFIG.keys


OVER = {
    "characters": "x " * (MAX_CHARACTERS // 2 + 1),
    "glyphs": "x" * (MAX_GLYPHS + 1),
    "nesting": r"\sqrt{" * (MAX_NESTING + 1) + "x" + "}" * (MAX_NESTING + 1),
}


@pytest.mark.parametrize("name", OVER)
def test_over_a_limit_a_prediction_scores_0_and_a_reference_does_not_count(name: str) -> None:
    pairs = [Prediction("p", "x", OVER[name]), Prediction("r", OVER[name], "x")]
    scoring = score(pairs, ScoringConfig(("cdm", "layout"), cache=False))
    for key in ("cdm", "layout"):
        found = scoring.scores[key]
        assert (found.items, found.n_truth_failed, found.n_faults) == ((0.0, None), 1, 0)
    assert all("cannot be drawn" in " ".join(item.warnings) for item in scoring.items)


def test_more_than_one_fault_in_a_thousand_is_exit_1(
    broken_metrics: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "predictions.jsonl"
    lines = [{"id": p.id, "gt": p.gt, "pred": p.pred} for p in predictions(20, [3])]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["score", str(file), "--metrics", "exact", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["texlens", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    output = capsys.readouterr()
    assert "1 of 20 items have no value in a metric because of faults" in output.err
    assert "| faults |" in output.out
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert document["metrics"]["exact"]["n_faults"] == 1
    assert len((tmp_path / "out" / "items.jsonl").read_text().splitlines()) == 20
    exact = ScoringConfig(("exact",))
    score(predictions(60), exact).check_faults()
    with pytest.raises(TexlensError, match="1 in 1,000"):
        score(predictions(60, [3]), exact).check_faults()


def _dying(config: ScoringConfig) -> Callable[[Sequence[Prediction]], list[ItemResult]]:
    scorer = BatchScorer(config)

    def work(pairs: Sequence[Prediction]) -> list[ItemResult]:
        if any(pair.pred == GUILTY for pair in pairs):
            os.kill(os.getpid(), signal.SIGTERM)
        return scorer.score(pairs)

    return work


@pytest.mark.skipif(os.name == "nt", reason="development data absent")
def test_a_process_that_ends_on_an_item_costs_that_item_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = ScoringConfig(("exact", "layout"), cache=False)
    sound = score(predictions(150), config).items
    monkeypatch.setattr(batches, "_batch_scorer", _dying)
    items = score(predictions(150, [70]), config).items
    assert items[70].faults == config.keys
    assert "ended its process (signal 15)" in items[70].warnings[0]
    assert [*items[:70], *items[71:]] == [*sound[:70], *sound[71:]]


@pytest.mark.skipif(os.name == "nt", reason="development data absent")
def test_workers_that_are_killed_in_the_middle_change_nothing() -> None:
    config = ScoringConfig(("exact", "cdm", "layout"), cache=False)
    pairs = predictions(320)
    sound = list(score_batches(pairs, config, workers=2))
    results = []
    for n, result in enumerate(score_batches(pairs, config, workers=2)):
        if n in (10, 200):
            for pid in get_pool().pids[:1]:
                os.kill(pid, signal.SIGKILL)
        results.append(result)
    assert results == sound
    assert not any(result.faults for result in results)
