"""The compact form: how it looks, that it is the same formula, and that KaTeX takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from formulas_strategy import formulas
from hypothesis import given
from hypothesis import strategies as st

from texlens.latex import katex_valid, normalize, tokenize
from texlens.latex.compact import compact

ROOT = Path(__file__).parents[2]
FORMULAS = [
    line
    for path in (Path(__file__).parent / "formulas.txt", ROOT / "benchmarks" / "formulas.txt")
    for line in path.read_text("utf-8").splitlines()
]


def test_the_normal_form_is_the_same_as_written_and_in_normal_form() -> None:
    changed = [line for line in FORMULAS if normalize(compact(line)) != normalize(line)]
    assert changed == []
    normal = [normalize(line) for line in FORMULAS]
    assert [line for line in normal if normalize(compact(line)) != line] == []


def test_katex_takes_it_where_it_takes_the_normal_form() -> None:
    normal = [normalize(line) for line in FORMULAS]
    written = [compact(line) for line in normal]
    valid = zip(katex_valid(normal), katex_valid(written), written, strict=True)
    assert [line for before, after, line in valid if before and not after] == []


@given(formulas)
def test_made_formulas_stay_the_same(latex: str) -> None:
    assert normalize(compact(latex)) == normalize(latex)


@given(st.text(max_size=30))
def test_any_text_is_taken(text: str) -> None:
    assert normalize(compact(text)) == normalize(text)


def test_there_is_one_line_without_idle_spaces() -> None:
    for written in map(compact, map(normalize, FORMULAS)):
        assert "\n" not in written
        assert written == written.strip()
        assert "  " not in written


@pytest.mark.parametrize(
    ("latex", "written"),
    [
        (
            r"x = \frac { - b \pm \sqrt { b ^ { 2 } - 4 a c } } { 2 a }",
            r"x = \frac{-b \pm \sqrt{b^{2} - 4ac}}{2a}",
        ),
        (r"\int _ { 0 } ^ { \infty } \sin x \, d x", r"\int_{0}^{\infty} \sin x\,dx"),
        (r"\operatorname { s n } x + \operatorname* { a r g m a x } _ { y }", r"\operatorname{sn}x + \operatorname*{argmax}_{y}"),
        (
            r"\begin{array} { c c } a & b \\ c & d \end{array}",
            r"\begin{array}{cc} a & b \\ c & d \end{array}",
        ),
        (r"\text { if  so } x", r"\text{ if so }x"),
        (r"\text {if $x _ { 1 } ^ { \prime } = 2$ so}", r"\text{if $x_{1}' = 2$ so}"),
        (r"\ce {SO4^{2-} + $n$ Ba^{2+} -> A}", r"\ce{SO4^{2-} + $n$ Ba^{2+} -> A}"),
        (r"\ce {$ H A _ o $ - > $ H A $ _ w}", r"\ce{$ H A _ o $ - > $ H A $ _ w}"),
        (r"a = - b + ( - c ) - d , - e \leq + f", "a = -b + (-c) - d, -e \\leq +f"),
        (r"f ^ { \prime \prime } ( x ) + g ^ { \prime 2 }", r"f''(x) + g^{\prime2}"),
        (r"\boldsymbol { x ^ { \prime } }", r"\boldsymbol{x^{\prime}}"),
        (r"\left( \frac { 1 } { 2 } \right) ^ { n } \{ x \mid x < b \}", r"\left(\frac{1}{2}\right)^{n}\{x \mid x < b\}"),
        (r"x _ { < b > } : = \sqrt [ 3 ] { 2 \pi }", r"x_{< b >} := \sqrt[3]{2\pi}"),
        (r"\color {red} a \hspace {1em} b", r"\color{red}a \hspace{1em}b"),
        (r"x \rightarrow \bigl ( y \bigr ]", r"x \rightarrow \bigl(y\bigr]"),
        ("", ""),
    ],
)  # fmt: skip
def test_how_it_looks(latex: str, written: str) -> None:
    assert compact(latex) == written
    assert normalize(written) == normalize(latex)


def test_nothing_but_spaces_and_primes_is_changed() -> None:
    for line in FORMULAS:
        if "\\prime" not in line and "$" not in line:
            assert tokenize(compact(line)) == tokenize(line)
