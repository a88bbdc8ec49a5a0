"""`layout`: 1 for one picture, less for another, in 0..1 always."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.engine import Drawing, get_engine
from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.layout.alignment import Costs
from texlens.metrics.layout.metric import Layout, formula
from texlens.metrics.layout.sequence import reading_sequence

STORE = DrawingStore(on_disk=False)


def layout(gt: str, pred: str) -> float | None:
    (item,) = Layout().score_items([Pair(gt, gt, pred, gt, pred, (), ())], STORE)
    assert item.values["exprate_layout"] == (
        None if item.values["layout"] is None else float(item.values["layout"] == 1)
    )
    return item.values["layout"]


SAME = {
    "synonym": (r"a\ne b", r"a\neq b"),
    "negation": (r"x\notin A", r"x\not\in A"),
    "function": (r"\det A", r"\operatorname{det} A"),
    "function with limits": (r"\max_{x} f", r"\mathop{\mathrm{max}}_{x} f"),
    "unicode": (r"\alpha\leq\beta^{2}", "α≤β²"),
    "unicode operator": (r"\sum_{i=1}^{n} i", "∑_{i=1}^{n} i"),
    "delimiters of one size": (r"\left( x \right)", "(x)"),
    "spacing": (r"a\;b\,c,\quad d", "a b c,d"),
    "braces": (r"{{x}_{{i}}}+{1}", "x_{i}+1"),
    "order of scripts": ("x^{2}_{i}", "x_{i}^{2}"),
    "primes": ("f'''(x)", r"f^{\prime\prime\prime}(x)"),
    "fraction by over": (r"\frac{a}{b}", r"{a\over b}"),
    "wrappers": ("a=b", "\\[a=b\\]"),
    "wrapper as environment": ("a=b", r"\begin{equation}a=b\end{equation}"),
    "numbered environment": (
        r"\begin{aligned}a&=b\\c&=d\end{aligned}",
        r"\begin{align}a&=b\\c&=d\end{align}",
    ),
    "lines broken or not": (r"\begin{aligned}a&=b\\&=c\end{aligned}", "a=b=c"),
    "lines broken elsewhere": (
        r"\begin{gathered}a\\=b=c\end{gathered}",
        r"\begin{array}{l}a=b\\=c\end{array}",
    ),
    "lines in text style": (
        r"\begin{aligned}a&=\frac{x}{y}\\&=\sum_{i}z\end{aligned}",
        r"\begin{array}{rl}a&=\frac{x}{y}\\&=\sum_{i}z\end{array}",
    ),
    "lines as several formulas": (r"a=b=c", "$a=b$\n$=c$"),
    "matrix by array": (
        r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
        r"\left(\begin{array}{cc}a&b\\c&d\end{array}\right)",
    ),
    "binomial as matrix": (r"\binom{n}{k}", r"\begin{pmatrix}n\\k\end{pmatrix}"),
    "cases": (r"\begin{cases}a\\b\end{cases}", r"\left\{\begin{array}{l}a\\b\end{array}\right."),
    "chemistry": (r"\ce{SO4^2- -> S}", r"\mathrm{SO}_{4}^{2-}\longrightarrow\mathrm{S}"),
    "accent over one sign": (r"\bar{x}", r"\overline{x}"),
    "dots": (r"1,\ldots,n", "1,...,n"),
    "comment": ("a+b", "a+% a comment\nb"),
    "accented letter": (r"\acute{e}", "é"),
    "nothing": ("", r"\,"),
}
DIFFERENT = {
    "digit": ("x+1", "x+2"),
    "case": ("x+y", "X+y"),
    "variant of a letter": (r"\phi", r"\varphi"),
    "bold": (r"\mathbf{x}=y", "x=y"),
    "double struck": (r"x\in\mathbb{R}", r"x\in R"),
    "colour": (r"{\color{red}x}=y", "x=y"),
    "script moved": ("x^{2}", "x_{2}"),
    "script and base": ("x^{2}", "2^{x}"),
    "script of a script": ("x^{y_{z}}", "x^{y}_{z}"),
    "limits beside": (r"\int\limits_a^b f", r"\int_a^b f"),
    "fraction inverted": (r"\frac{a}{b}", r"\frac{b}{a}"),
    "fraction in text style": (r"x\frac{a}{b}", r"x\tfrac{a}{b}"),
    "bar lost": (r"\frac{a}{b}", r"{a\atop b}"),
    "reach of a root": (r"\sqrt{ab}", r"\sqrt{a}b"),
    "index of a root": (r"\sqrt[3]{x}", r"\sqrt{x}"),
    "large delimiter": (r"\Big( x \Big)", "(x)"),
    "operator": (r"\bigcup A", r"\bigcap A"),
    "operator as sign": (r"\bigcup A", r"\cup A"),
    "dots on the line": (r"a\cdots b", r"a\ldots b"),
    "lines swapped": (r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"\begin{aligned}c&=d\\a&=b\end{aligned}"),
    "transposed": (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", r"\begin{pmatrix}a&c\\b&d\end{pmatrix}"),
    "columns lost": (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}12\\34\end{pmatrix}"),
    "empty cells": (r"\begin{pmatrix}a&\\&b\end{pmatrix}", r"\begin{pmatrix}&a\\b&\end{pmatrix}"),
    "matrix on the line": (r"\begin{pmatrix}a\\b\end{pmatrix}", "(ab)"),
    "rule": (r"\begin{array}{c}a\\\hline b\end{array}", r"\begin{array}{c}a\\b\end{array}"),
    "vertical rule": (r"\begin{array}{c|c}a&b\end{array}", r"\begin{array}{cc}a&b\end{array}"),
    "frame": (r"\boxed{x}", "x"),
    "stroke": (r"\cancel{x}", r"\boxed{x}"),
    "side of a line": (r"\overline{ab}", r"\underline{ab}"),
    "wide accent": (r"\widehat{ABC}", r"\hat{ABC}"),
    "tag": (r"a\tag{1}", "a"),
    "parentheses of a modulus": (r"a\pmod{n}", r"a\mod{n}"),
    "blocks swapped": ("(x+1)(y-2)", "(y-2)(x+1)"),
    "prescript": (r"{}^{2}x", "x^{2}"),
}  # fmt: skip


@pytest.mark.parametrize(("gt", "pred"), SAME.values(), ids=SAME)
def test_one_picture_spelled_twice_is_1(gt: str, pred: str) -> None:
    assert layout(gt, pred) == 1
    assert layout(pred, gt) == 1


@pytest.mark.parametrize(("gt", "pred"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_pictures_are_less_than_1(gt: str, pred: str) -> None:
    value = layout(gt, pred)
    assert value is not None
    assert 0 <= value < 1
    assert layout(pred, gt) == pytest.approx(value)


def test_a_mark_of_another_kind_has_no_size_to_compare() -> None:
    one, two = "y_{xx}^{x}", r"\frac{x}{x}\frac{x}{x}"
    assert layout(one, two) == layout(two, one)


def test_worse_errors_score_less() -> None:
    reference = r"E_{n}=\frac{h^{2}}{2m}+\hat{V}"
    spared, accent, look, digit, bar, most = (
        layout(reference, pred) or 0.0
        for pred in (
            r"\mathrm{E}_{n}=\frac{h^{2}}{2m}+\hat{V}",
            r"E_{n}=\frac{h^{2}}{2m}+V",
            r"E_{n}=\frac{h^{2}}{2m}+\tilde{U}",
            r"E_{n}=\frac{h^{3}}{4m}+\hat{V}",
            r"E_{n}=\frac{h^{3}}{4n}+\hat{V}",
            "abc",
        )
    )
    assert 1 > spared > accent > look > digit > bar > most


def test_what_cannot_be_drawn() -> None:
    (item,) = Layout().score_items([Pair.of("a+b}", "a+b")], STORE)
    assert item.values == {"layout": None, "exprate_layout": None}
    assert "reference" in item.warnings[0]
    (item,) = Layout().score_items([Pair.of("a+b", r"\frac{a")], STORE)
    assert item.values == {"layout": 0.0, "exprate_layout": 0.0}
    assert "prediction" in item.warnings[0]


def test_an_empty_prediction_scores_0() -> None:
    assert layout("x", "") == 0
    assert layout("x", "y") == 0


def test_formula_of_a_raw_answer() -> None:
    assert layout("a=b=c", r"\begin{eqnarray}a&=&b\\&=&c\end{eqnarray}") == 1
    assert layout("a+b", "$a$ + $b$") == 1
    assert formula("$∏_i$").replace(" ", "") == r"\prod_i"


def test_explain_marks_what_differs() -> None:
    match = Layout().explain(Pair.of(r"a+\frac{b}{c}", r"a-\frac{b}{c}"), STORE)
    assert match is not None
    for side, wrong in ((match.reference, "+"), (match.prediction, "−")):
        red = [b.char for b, ok in zip(side.boxes, side.matched, strict=True) if not ok]
        assert red == [wrong]
    for i, j in match.partners:
        assert match.reference.boxes[i].char == match.prediction.boxes[j].char
    assert Layout().explain(Pair.of("a", r"\frac"), STORE) is None


@pytest.mark.parametrize(
    ("gt", "pred", "red"),
    [
        (r"a=b\qquad c=d", "a=bc=d", "c"),
        (r"\bigl(x\bigr)", "(x)", "()"),
        (r"A\setminus B", r"A\backslash B", "∖"),
        (r"[\begin{array}{r}a\\bcd\end{array}]", r"[\begin{array}{l}a\\bcd\end{array}]", "a"),
    ],
)
def test_explain_marks_what_differs_in_style(gt: str, pred: str, red: str) -> None:
    match = Layout().explain(Pair.of(gt, pred), STORE)
    assert match is not None
    side = match.reference
    assert "".join(b.char for b, ok in zip(side.boxes, side.matched, strict=True) if not ok) == red


def test_signature_names_what_was_changed() -> None:
    assert "revision:" in Layout().signature("layout")
    assert "engine:mathjax" in Layout().signature("layout")
    assert Layout(Costs(style=0)).signature("layout") != Layout().signature("layout")
    assert Layout(severity=1.0).signature("layout") != Layout().signature("layout")


ATOMS = st.sampled_from(["x", "y", "2", "+", r"\alpha ", "(", r"\sum ", "=", ","])
FORMULAS = st.recursive(
    st.lists(ATOMS, min_size=1, max_size=6).map("".join),
    lambda inner: st.one_of(
        st.builds(r"\frac{{{}}}{{{}}}".format, inner, inner),
        st.builds("{}_{{{}}}^{{{}}}".format, ATOMS.filter(str.isalnum), inner, inner),
        st.builds(r"\sqrt{{{}}}".format, inner),
        st.builds(r"\hat{{{}}}".format, inner),
        st.builds(r"\begin{{matrix}}{}&{}\\{}\end{{matrix}}".format, inner, inner, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(FORMULAS, FORMULAS)
def test_properties_of_drawable_pairs(a: str, b: str) -> None:
    assert layout(a, a) == 1
    value = layout(a, b)
    assert value is not None
    assert 0 <= value <= 1
    assert layout(b, a) == pytest.approx(value)
    drawn = [d for d in STORE.draw([formula(a), formula(b)]) if isinstance(d, Drawing)]
    sequences = [[item.symbol for item in reading_sequence(d)] for d in drawn]
    if value == 1:
        assert sequences[0] == sequences[1]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="\\{}^_&$%#~ab1 lefrightcsqt\n\"'é∑", max_size=40))
def test_any_string_scores_within_0_and_1(text: str) -> None:
    value = layout("x+1", text)
    assert value is not None
    assert 0 <= value <= 1


@pytest.mark.parametrize(
    "hostile",
    [
        "x^{" * 500 + "}" * 500,
        r"\frac{1}{" * 90 + "}" * 90,
        r"\def\x{\x\x}\x",
        "a" * 100_000,
        r"\begin{array}" + "{c}" * 300,
        "\\left(" * 400,
        "\ud800",
        "\x00",
    ],
)
def test_hostile_strings_end_soon(hostile: str) -> None:
    start = time.perf_counter()
    value = layout("x+1", hostile)
    assert value is not None
    assert 0 <= value < 0.5
    assert time.perf_counter() - start < 10


def test_two_thousand_signs_are_compared() -> None:
    one, two = get_engine().draw([r"a_{1}+\frac{b}{c}x" * 280, r"x-\frac{c}{b}a_{2}" * 280])
    assert isinstance(one, Drawing)
    assert isinstance(two, Drawing)
    assert len(one.boxes) > 1900
    value, errors = Layout().compare(reading_sequence(one), reading_sequence(two))
    assert value < 0.01
    assert errors.mass > 500


def test_probes_labelled_by_eye(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "cdm_probes.jsonl").open(encoding="utf-8")]
    right = sum((layout(row["gt"], row["pred"]) == 1) == (row["expect"] == "same") for row in rows)
    assert right / len(rows) >= 0.95
