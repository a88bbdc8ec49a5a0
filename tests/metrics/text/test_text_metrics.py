"""The metrics over text against their sources: sacrebleu, rouge-score, and counting by hand."""

from __future__ import annotations

import string
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from texlens.metrics.base import Metric, Pair, comparable
from texlens.metrics.cache import DrawingStore
from texlens.metrics.text.answers import AnswerFaults
from texlens.metrics.text.bleu import Bleu, Bleu13a
from texlens.metrics.text.edit import EditDistance
from texlens.metrics.text.exact import ExactMatch, ExpressionRate
from texlens.metrics.text.rouge import RougeL, RougeLTokens, rouge_l

NO_DRAWINGS = DrawingStore(on_disk=False)
PAIRS = [
    (r"x ^ { 2 } + y", "x^2+y"),
    (r"\frac{a}{b} = \sqrt{c}", r"\frac{a}{b} = \sqrt{d}"),
    (r"\sum_{i=1}^{n} a_i", r"\sum_{i=1}^{m} a_{i} + b"),
    (r"\alpha \beta \gamma", ""),
    ("x", "x"),
    ("+", "-"),
    (r"\text{if } x \leq 0", r"\text{if} x \le 0"),
    (r"\mathcal{L} = \int d^4 x \sqrt{-g}\, R", r"L = \int d^{4}x \sqrt{g} R + \Lambda"),
]

formulas = st.lists(
    st.sampled_from(
        [
            "x",
            "y",
            "12",
            "+",
            "=",
            r"\alpha",
            r"\frac{a}{b}",
            "^{2}",
            "_{i}",
            r"\sqrt{x}",
            "running",
        ]
    ),
    max_size=12,
).map(" ".join)
texts = st.one_of(formulas, st.text(max_size=30), st.text(string.ascii_lowercase + "\\{}^_ "))


def items(metric: Metric, pairs: list[tuple[str, str]], key: str) -> list[float | None]:
    scores = metric.score_items([Pair.of(*pair) for pair in pairs], NO_DRAWINGS)
    return [score.values[key] for score in scores]


def one(metric: Metric, gt: str, pred: str, key: str) -> float | None:
    return items(metric, [(gt, pred)], key)[0]


def test_corpus_bleu_is_sacrebleus() -> None:
    metric = Bleu()
    pairs = [Pair.of(*pair) for pair in PAIRS]
    rows = np.array([score.statistics for score in metric.score_items(pairs, NO_DRAWINGS)])
    reference = BLEU(tokenize="none", effective_order=True).corpus_score(
        [metric.texts(pair)[1] for pair in pairs], [[metric.texts(pair)[0] for pair in pairs]]
    )
    assert metric.from_totals(rows.sum(axis=0)[None])[0] == pytest.approx(reference.score / 100)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(formulas, formulas), min_size=1, max_size=6))
def test_bleu_13a_is_sacrebleus_for_items_and_corpora(pairs: list[tuple[str, str]]) -> None:
    metric = Bleu13a()
    scores = metric.score_items([Pair.of(*pair) for pair in pairs], NO_DRAWINGS)
    source = BLEU(effective_order=True)
    for (gt, pred), score in zip(pairs, scores, strict=True):
        if gt or pred:  # of two empty texts sacrebleu says 0
            expected = source.sentence_score(pred, [gt]).score / 100
            assert score.values["bleu_13a"] == pytest.approx(expected)
    if any(gt or pred for gt, pred in pairs):
        rows = np.array([score.statistics for score in scores])
        expected = source.corpus_score([p for _, p in pairs], [[g for g, _ in pairs]]).score / 100
        assert metric.from_totals(rows.sum(axis=0)[None])[0] == pytest.approx(expected)


@settings(deadline=None, max_examples=150)
@given(texts, texts)
def test_rouge_l_is_that_of_rouge_score(gt: str, pred: str) -> None:
    reference, answer = gt.strip().lower(), pred.strip().lower()
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(reference, answer)["rougeL"].fmeasure
    assert rouge_l(gt, pred) == (1.0 if reference == answer else expected)


@pytest.mark.parametrize(
    ("gt", "pred"),
    [("dying", "die"), ("sums", "sum"), ("skies", "sky"), ("running x", "runs x"), ("lies", "lie")],
)
def test_rouge_l_stems_where_stems_matter(gt: str, pred: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(gt, pred)["rougeL"].fmeasure
    assert rouge_l(gt, pred) == expected > 0


def test_the_stemmer_is_the_same_without_the_rest_of_nltk() -> None:
    words = [f"{stem}{end}" for stem in ("rat", "dy", "sk", "hop") for end in ("ing", "ies", "ed")]
    code = (
        "import sys; from texlens.metrics.text.rouge import _stemmer\n"
        f"print([_stemmer().stem(word) for word in {words}])\n"
        "assert not [name for name in sys.modules if 'nltk' in name or 'scipy' in name]\n"
        "import nltk.stem.porter\n"
        f"print([nltk.stem.porter.PorterStemmer().stem(word) for word in {words}])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    ours, theirs = run.stdout.splitlines()
    assert ours == theirs


def test_rouge_l_survives_what_makes_the_stemmer_recurse() -> None:
    assert rouge_l("y" * 5000 + " a", "yes" + " a") > 0


def test_rouge_l_tokens_counts_latex_tokens() -> None:
    # Common: x ^ { } of x ^ { 2 } and x ^ { 3 }.
    assert one(RougeLTokens(), "x^2", "x^3", "rouge_l_tokens") == pytest.approx(4 / 5)
    assert one(RougeLTokens(), "", "", "rouge_l_tokens") == 1


def test_edit_distance_divides_by_the_longer_text() -> None:
    assert one(EditDistance(), "x + y", "x + y + z", "edit_tokens") == pytest.approx(2 / 5)
    assert one(EditDistance(), "x", r"\alpha", "edit_chars") == 1
    assert one(EditDistance(), r"x^{2}", "x ^ 2", "edit_chars") == 0


def test_expression_rate_forgives_errors_one_by_one() -> None:
    rates = [
        tuple(one(ExpressionRate(), "a b c d", pred, key) for key in ExpressionRate.keys)
        for pred in ("a b c d", "a b c e", "a b f e", "h g f e")
    ]
    assert rates == [(1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)]


def test_exact_compares_reference_with_prediction_in_normal_form() -> None:
    assert one(ExactMatch(), "x^2", "$x ^ {2}$", "exact") == 1
    assert one(ExactMatch(), "x^2", "x^3", "exact") == 0


@pytest.mark.parametrize(
    ("gt", "pred", "faults"),
    [
        ("x", "  $$ ", {"empty"}),
        ("x", "a + " * 30, {"loop"}),
        ("a + " * 30, "a + " * 30, set()),
        ("x", "0 & 1 & " * 5, set()),
        (r"\frac{a}{b}", r"\frac{a}{b", {"unfinished"}),
        (r"\left( x \right)", r"\left( x", {"unfinished"}),
        (r"\left( x", r"\left( x", set()),
        (r"\leftarrow", r"\leftarrow", set()),
        ("x", r"\begin{array}{c} x", {"unfinished"}),
    ],
)
def test_faults_of_answers(gt: str, pred: str, faults: set[str]) -> None:
    values = AnswerFaults().score_items([Pair.of(gt, pred)], NO_DRAWINGS)[0].values
    assert {key for key, value in values.items() if value} == faults


@pytest.mark.parametrize("extra", [{"warnings": ["unfinished"]}, {"finish_reason": "length"}])
def test_a_recogniser_may_say_that_it_was_cut_off(extra: dict[str, object]) -> None:
    pair = Pair.of("x", "x", extra=extra)
    assert AnswerFaults().score_items([pair], NO_DRAWINGS)[0].values["unfinished"] == 1


ALL = (Bleu, Bleu13a, EditDistance, RougeL, RougeLTokens, ExactMatch, ExpressionRate)


@settings(deadline=None, max_examples=100)
@given(texts, texts)
def test_values_lie_between_0_and_1_and_a_text_is_perfect_against_itself(
    gt: str, pred: str
) -> None:
    for kind in ALL:
        metric = kind()
        perfect = 0.0 if metric.lower_is_better else 1.0
        crossed, itself = metric.score_items([Pair.of(gt, pred), Pair.of(gt, gt)], NO_DRAWINGS)
        assert all(0 <= value <= 1 for value in crossed.values.values() if value is not None)
        assert set(itself.values.values()) == {perfect}
        assert tuple(crossed.values) == metric.keys


def test_a_text_too_long_to_compare_equals_only_itself() -> None:
    endless, other = r"\alpha x " * 20_000, r"\alpha x " * 20_001
    assert comparable(endless) == comparable(endless) != comparable(other)
    for kind in ALL:
        metric = kind()
        perfect = 0.0 if metric.lower_is_better else 1.0
        pairs = [Pair.of(endless, endless), Pair.of(endless, other), Pair.of("x", endless)]
        itself, different, short = metric.score_items(pairs, NO_DRAWINGS)
        assert set(itself.values.values()) == {perfect}
        for score in (different, short):
            assert set(score.values.values()) == {1 - perfect}
