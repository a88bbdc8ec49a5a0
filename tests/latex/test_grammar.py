"""The grammar: what it lets through parses in KaTeX, and it lets real formulas through."""

from __future__ import annotations

from pathlib import Path

import pytest
from llguidance import LLMatcher, LLTokenizer

from texlens.latex import katex_valid, normalize
from texlens.latex.grammar import lark_grammar


@pytest.fixture(scope="module")
def grammar() -> LLMatcher:
    """The grammar over single bytes."""
    text = LLMatcher.grammar_from_lark(lark_grammar())
    assert LLMatcher.validate_grammar_with_warnings(text) == (False, [])
    return LLMatcher(LLTokenizer("byte"), text)


def is_beginning(grammar: LLMatcher, formula: str) -> bool:
    """Whether a formula of the language may begin so."""
    grammar.reset()
    return bool(grammar.try_consume_tokens(list(formula.encode())) == len(formula))


def accepts(grammar: LLMatcher, formula: str) -> bool:
    return is_beginning(grammar, formula) and bool(grammar.is_accepting())


@pytest.mark.parametrize(
    "formula",
    [
        r"x _ { 1 } ^ { 2 }",
        r"\frac { a } { b }",
        r"\frac a b",
        r"\sqrt [ 3 ] { x }",
        r"\left( \frac { a } { b } \middle| c \right]",
        r"\begin{array} { c | c } a & b \\ \hline c & d \end{array}",
        r"\sum \limits _ { i } ^ { n } x",
        r"{ a \over b } { c \over d }",
        r"\begin{matrix} a \over b & c \over d \end{matrix}",
        r"\substack { a \\ b }",
        r"\textrm { i f , \, \% { x } \textbf { y } }",
        r"\bigl ( x \bigr )",
        r"{ } ^ { 2 } x",
        r"\mathop { \rm R e s } \limits _ { z }",
        r"\hspace {-1.5em} x",
        r"\hspace* {2pt}",
        r"\alpha1",
        r"a \ b \  c",
        r"\left( a \over b \right)",
        r"\begin{array} { l } \\ \hline [ a ] \\ \end{array}",
        r"\cfrac { 1 } { 2 + \cfrac 1 x }",
        r"\ce {^{14}C=CH2 + N#N -> SO4^{2-} + NH4+ + CO2 ^} \pu {1.2 m/s}",
        r"x \ce {Fe^{III}Cl3 <=>[H2O] A_{x}^{2+} + (^{238}_{92}U) \alpha -C v}",
    ],
)
def test_a_formula_is_accepted(grammar: LLMatcher, formula: str) -> None:
    assert accepts(grammar, formula)
    assert katex_valid([formula]) == [True]


@pytest.mark.parametrize(
    "formula",
    [
        r"x _ 1 _ 2",
        r"x ^ 1 ^ 2",
        r"x ' ^ 2",
        r"a & b",
        r"\ce {a & b}",
        r"\ce {A^{2}^{3}}",
        r"{ a & b }",
        r"\begin{array} { c } \left( a & b",
        r"{ a \\ b }",
        r"\begin{array} a",
        r"\begin{array} { x",
        r"\begin{align}",
        r"a \right)",
        r"\left( a }",
        r"\begin{matrix} a \end{array}",
        r"\frac \sum",
        r"\frac & a",
        r"_ _",
        r"\unknown",
        r"\arctan x \mathchoice",
        r"a \over b \over c",
        r"x \limits",
        r"a \hline",
        r"\middle|",
        r"\begin{matrix} a \\ [ b ]",
        r"\textrm { x ^ 2",
        r"\big x",
        r"$",
        r"\alphax",
        r"\hspace { ",
        r"\hspace {}",
        "",
        r"\$ $",
    ],
)
def test_a_fault_is_refused(grammar: LLMatcher, formula: str) -> None:
    assert not accepts(grammar, formula)


def test_real_formulas_are_of_the_language(grammar: LLMatcher, shared_data: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "im2latex_train.parquet", columns=["latex_formula"])
    formulas = [normalize(text) for text in table["latex_formula"].slice(6500, 500).to_pylist()]
    valid = [f for f, is_valid in zip(formulas, katex_valid(formulas), strict=True) if is_valid]
    assert sum(not accepts(grammar, formula) for formula in valid) <= 3
