"""LaTeX without idle spaces: the same tokens, and how it looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from formulas_strategy import formulas
from hypothesis import given
from hypothesis import strategies as st

from texlens.latex import tokenize
from texlens.latex.compact import compact

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text("utf-8").splitlines()


def test_the_tokens_are_the_same() -> None:
    changed = [line for line in FORMULAS if tokenize(compact(line)) != tokenize(line)]
    assert changed == []


@given(formulas)
def test_the_tokens_of_made_formulas_are_the_same(latex: str) -> None:
    assert tokenize(compact(latex)) == tokenize(latex)


@given(st.text(max_size=30))
def test_any_text_is_taken(text: str) -> None:
    assert isinstance(compact(text), str)


@pytest.mark.parametrize(
    ("latex", "written"),
    [
        (
            r"x = \frac { - b \pm \sqrt { b ^ { 2 } - 4 a c } } { 2 a }",
            r"x = \frac{-b \pm \sqrt{b^{2} - 4ac}}{2a}",
        ),
        (r"\int _ { 0 } ^ { \infty } \sin x \, d x", r"\int_{0}^{\infty} \sin x \,dx"),
        (
            r"\begin{array} { c c } a & b \\ c & d \end{array}",
            r"\begin{array}{cc}a & b \\ c & d \end{array}",
        ),
        (r"\text { if  so } x", r"\text{ if so }x"),
        (r"a = - b + ( - c ) - d", "a = -b + (-c) - d"),
        ("", ""),
    ],
)
def test_how_it_looks(latex: str, written: str) -> None:
    assert compact(latex) == written
