"""One function a metric: what a pair gives, what sequences give, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import texlens
from texlens.errors import InputError
from texlens.records import Score
from texlens.results import PairScore

REFERENCES = [r"\frac{a}{b} + c^{2}", "x", r"\sqrt{y}"]
PREDICTIONS = [r"\frac{a}{d} + c_{2}", "x", r"\sqrt{z}"]
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "cdm": texlens.cdm,
    "layout": texlens.layout,
    "bleu": texlens.bleu,
    "edit_tokens": texlens.edit_distance,
    "edit_chars": lambda r, p: texlens.edit_distance(r, p, unit="characters"),
    "exact": texlens.exact_match,
    "exprate": texlens.expression_rate,
    "exprate_2": lambda r, p: texlens.expression_rate(r, p, errors=2),
    "rouge_l": texlens.rouge_l,
}


@pytest.mark.parametrize("key", FUNCTIONS)
def test_a_function_gives_what_score_gives(key: str) -> None:
    pairs = list(zip(REFERENCES, PREDICTIONS, strict=True))
    wanted = texlens.score(pairs, [key], cache=False)[key]
    many = FUNCTIONS[key](REFERENCES, tuple(PREDICTIONS))
    assert isinstance(many, Score)
    assert many == wanted
    for (reference, prediction), value in zip(pairs, wanted.items, strict=True):
        one = FUNCTIONS[key](reference, prediction)
        assert isinstance(one, PairScore)
        assert (one.key, one.value) == (key, value)
        assert float(one) == value
        assert wanted.signature.startswith(one.signature)


@pytest.mark.parametrize("function", [texlens.cdm, texlens.layout])
def test_the_alignment_is_data(function: Callable[[str, str], PairScore]) -> None:
    found = function(REFERENCES[0], PREDICTIONS[0]).alignment
    assert found is not None
    matched = {(found.reference[i].text, found.prediction[j].text) for i, j in found.pairs}
    assert {("a", "a"), ("+", "+"), ("c", "c")} <= matched
    assert found.missing[0].text == "b"
    assert found.added[0].text == "d"
    (b,) = (glyph for glyph in found.reference if glyph.text == "b")
    (a,) = (glyph for glyph in found.reference if glyph.text == "a")
    assert a.y1 < b.y0  # the numerator is above, and y grows downwards
    assert a.x0 < a.x1 < 2
    assert texlens.exact_match("a", "a").alignment is None


def test_a_reference_that_cannot_be_rendered_has_no_value() -> None:
    one = texlens.layout(r"\frac{a}{", "a")
    assert one.value is None
    assert "cannot be drawn" in one.warnings[0]
    with pytest.raises(TypeError, match="has no value"):
        float(one)
    assert texlens.layout("a", r"\frac{a}{").value == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: texlens.cdm("a", ["b"]), TypeError, "reference must be a text, or a sequence"),
        (lambda: texlens.cdm(["a"], "b"), TypeError, "prediction must be a text, or a sequence"),
        (lambda: texlens.cdm(3, 4), TypeError, "reference must be .* not int"),
        (lambda: texlens.cdm("a", None), TypeError, "prediction must be a text, .* not NoneType"),
        (lambda: texlens.bleu(["a", "b"], ["a", 3]), TypeError, r"prediction\[1\] must be a text"),
        (lambda: texlens.bleu(["a"], ["a", "b"]), InputError, "1 formulas and prediction 2"),
        (lambda: texlens.bleu([], []), InputError, "nothing to score"),
        (lambda: texlens.edit_distance("a", "b", unit="words"), InputError, "'words'"),
        (lambda: texlens.expression_rate("a", "b", errors=3), InputError, "0, 1 or 2"),
        (lambda: texlens.score("ab"), TypeError, "pairs must be"),
        (lambda: texlens.score([("a", "b")], 3), TypeError, "metrics must be keys, not int"),
        (lambda: texlens.check(3), TypeError, "answers must be a text"),
        (lambda: texlens.check(["a", None]), TypeError, r"answers\[1\] must be a text"),
        (lambda: texlens.normalize(3), TypeError, "latex must be a text, .* not int"),
        (lambda: texlens.normalize([3]), TypeError, r"latex\[0\] must be a text, not int"),
        (lambda: texlens.normalize(b"a"), TypeError, "latex must be a text, .* not bytes"),
        (lambda: texlens.check(b"a"), TypeError, "answers must be a text, .* not bytes"),
        (lambda: texlens.tokenize(None), TypeError, "latex must be a text, not NoneType"),
        (lambda: texlens.score(["a"], ["a"]), InputError, "Pair 0 .* zip"),
        (lambda: texlens.read(["a.png"]), TypeError, "not list .*read_many"),
        (lambda: texlens.read(3), TypeError, "must be a path, .* not int"),
        (lambda: texlens.compare_systems(["a"]), TypeError, "systems must map names"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(call: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_one_formula_is_checked_and_normalised_as_one() -> None:
    assert texlens.normalize(r"\frac{a}b") == r"\frac { a } { b }"
    assert texlens.normalize(["a+b", "$x$"]) == ["a + b", "x"]
    assert texlens.check("a+b").ok
    assert [one.ok for one in texlens.check(["a+b", "{"])] == [True, False]
