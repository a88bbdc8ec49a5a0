"""The grammar: what it lets through parses in KaTeX, and it lets real formulas through."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from texlens.latex import check, katex_valid, normalize, tokenize
from texlens.latex.grammar import Grammar, State, kind, pieces

CHARACTERS = (
    list("abxyz019+-=()[]&|./,'<>!*:;\"`@ ")
    + ["{", "}", "_", "^"] * 4
    + ["\\\\", "\\frac", "\\left(", "\\right)", "\\begin{array}"] * 3
)


def written(formula: str, grammar: Grammar) -> State | None:
    """The state after a formula without lengths, whose tokens are pieces."""
    state: State | None = grammar.start
    for piece in tokenize(formula):
        if state is not None:
            state = grammar.step(state, piece)
    return state


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
    ],
)
def test_a_formula_is_accepted(formula: str) -> None:
    grammar = Grammar()
    state = written(formula, grammar)
    assert state is not None
    assert grammar.accepts(state)
    assert katex_valid([formula]) == [True]


@pytest.mark.parametrize(
    "formula",
    [
        r"x _ 1 _ 2",
        r"x ^ 1 ^ 2",
        r"x ' ^ 2",
        r"a & b",
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
        r"\$ $",
    ],
)
def test_a_fault_is_refused(formula: str) -> None:
    assert written(formula, Grammar()) is None


@pytest.mark.parametrize(
    ("formula", "price"),
    [
        (r"x", 0),
        (r"{", 1),
        (r"\frac", 4),
        (r"\frac {", 3),
        (r"x _", 2),
        (r"\left( \begin{array} {", 3),
        (r"\begin{array}", 3),
        (r"\sqrt", 2),
        (r"\bigl", 1),
        (r"\hspace", 5),
    ],
)
def test_what_is_open_has_its_price(formula: str, price: int) -> None:
    grammar = Grammar()
    state = written(formula, grammar)
    assert state is not None
    assert grammar.price_to_end(state) == price
    assert grammar.accepts(state) == (price == 0)


def test_nothing_is_no_formula() -> None:
    grammar = Grammar()
    assert not grammar.accepts(grammar.start)
    assert grammar.price_to_end(grammar.start) == 1


def test_lengths_are_written_without_spaces() -> None:
    grammar = Grammar()
    state = written(r"\hspace {", grammar)
    for piece in "-1.5em}":
        assert state is not None
        assert grammar.step(state, piece, spaced=True) is None
        state = grammar.step(state, piece, spaced=False)
    assert state is not None
    assert grammar.accepts(state)
    empty = written(r"\hspace {", grammar)
    assert empty is not None
    assert grammar.step(empty, "}", spaced=False) is None


def test_a_letter_must_not_lengthen_a_command() -> None:
    grammar = Grammar()
    state = written(r"\alpha", grammar)
    assert state is not None
    assert grammar.step(state, "x", spaced=False) is None
    assert grammar.step(state, "1", spaced=False) is not None


def random_formula(grammar: Grammar, chance: random.Random, budget: int) -> str:
    """Any formula of the language, written at random and closed within the budget."""
    every = sorted(pieces())
    state, formula, left = grammar.start, "", budget
    while not grammar.accepts(state) or (left > 1 and chance.random() > 0.05):
        is_length = not state.takes_space
        closer = {"\\right": "\\right."}.get(state.frames[-1].closer, state.frames[-1].closer)
        for _ in range(10_000):
            few = chance.random() < 0.3
            piece = chance.choice(
                list("0123456789emxput.}-")
                if is_length
                else [closer or "x", "{", "}", "x", "]", "("]
                if few
                else CHARACTERS
                if chance.random() < 0.5
                else every
            )
            after = grammar.step(state, piece, spaced=not is_length)
            if after is not None and grammar.price_to_end(after) < left:
                break
        else:
            raise AssertionError(f"nothing may follow {formula!r}")
        state, left = after, left - 1
        formula += piece if is_length else " " + piece
    return formula


def test_whatever_is_allowed_parses() -> None:
    grammar, chance = Grammar(), random.Random(4)
    formulas = [
        random_formula(grammar, chance, chance.choice([5, 15, 40, 120])) for _ in range(500)
    ]
    faults = [(c.message, f) for c, f in zip(check(formulas), formulas, strict=True) if not c.ok]
    assert faults == []
    assert max(len(formula) for formula in formulas) > 400


def test_pieces_of_a_kind_are_allowed_alike() -> None:
    grammar, chance = Grammar(), random.Random(5)
    every = sorted(pieces()) + CHARACTERS + list("emxupt")
    alike: dict[object, list[str]] = {}
    for piece in every:
        alike.setdefault(kind(piece), []).append(piece)
    groups = list(alike.values())
    for _ in range(8):
        state = grammar.start
        for _ in range(15):
            further = []
            for group in groups:
                first, other = group[0], chance.choice(group)
                after = [grammar.step(state, piece, state.takes_space) for piece in (first, other)]
                prices = {None if a is None else grammar.price_to_end(a) for a in after}
                assert len(prices) == 1, (state, first, other)
                further += [a for a in after[1:] if a is not None]
            state = chance.choice(further)


def test_real_formulas_are_of_the_language(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "im2latex_train.parquet", columns=["latex_formula"])
    formulas = [normalize(text) for text in table["latex_formula"].slice(6500, 500).to_pylist()]
    grammar = Grammar()
    refused = 0
    for formula, is_valid in zip(formulas, katex_valid(formulas), strict=True):
        if is_valid and "space" not in formula:  # its length is written without spaces
            refused += written(formula, grammar) is None
    assert refused <= 3
