"""Sampled formulas: seeded, in normal form, valid, of the given length and depth."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.data.formulas.grammar import generate
from texlens.data.formulas.recombine import Recombiner, vary
from texlens.data.formulas.symbols import CLASS_OF, CLASSES
from texlens.data.formulas.tree import Group, Item, Unparsable, parse, text_of
from texlens.engine import get_engine
from texlens.errors import InputError
from texlens.latex import normalize, tokenize

PAPERS = [
    r"S = \int d ^ { 4 } x \sqrt { - g } \left( R - \frac { 1 } { 2 } ( \partial \phi ) ^ { 2 } \right) ,",
    r"[ J _ { a } , J _ { b } ] = i \epsilon _ { a b c } J _ { c } .",
    r"\left( \begin{array} { c c } { a } & { b } \\ { c } & { d } \end{array} \right) \in \mathrm { S L } ( 2 )",
    r"\langle 0 | T \psi ( x ) \bar { \psi } ( y ) | 0 \rangle = S _ { F } ( x - y )",
    r"\hat { H } = \sum _ { k } \omega _ { k } a _ { k } ^ { \dagger } a _ { k } \quad k = 1 , \ldots , N",
    r"Z [ J ] = \exp \left\{ - \frac { \mathrm { t r } A } { \sqrt [ 3 ] { 2 \pi } } \right\}",
    r"m ^ { 2 } \simeq \frac { \Lambda ^ { 2 } } { 1 6 \pi ^ { 2 } } \ln \frac { \Lambda } { \mu }",
]


def nesting(items: list[Item]) -> int:
    inner = [nesting(item.items) for item in items if isinstance(item, Group)]
    return 1 + max(inner) if inner else 0


@given(st.integers(0, 2**32), st.integers(1, 150), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_generated_formulas_are_seeded_and_in_normal_form(
    seed: int, tokens: int, depth: int
) -> None:
    formula = generate(Random(seed), tokens=tokens, depth=depth)
    assert formula == generate(Random(seed), tokens=tokens, depth=depth)
    assert formula == normalize(formula)
    assert text_of(parse(formula)) == formula


def test_generated_formulas_are_valid() -> None:
    random = Random(5)
    formulas = [
        generate(random, tokens=random.choice((5, 20, 40, 80, 150)), depth=random.randint(0, 5))
        for _ in range(400)
    ]
    failures = [f for f, v in zip(formulas, get_engine().parse(formulas), strict=True) if v]
    assert failures == []


@pytest.mark.parametrize("tokens", [10, 40, 120])
def test_length_is_met_within_a_third(tokens: int) -> None:
    random = Random(1)
    lengths = [len(tokenize(generate(random, tokens=tokens, depth=3))) for _ in range(200)]
    assert mean(lengths) == pytest.approx(tokens, rel=0.33)


def test_depth_is_obeyed() -> None:
    deepest = []
    for depth in range(5):
        random = Random(2)
        trees = [parse(generate(random, tokens=60, depth=depth)) for _ in range(200)]
        deepest.append(max(map(nesting, trees)))
    assert deepest[0] == 0
    assert deepest == sorted(deepest)
    assert all(found <= 2 * depth + 2 for depth, found in enumerate(deepest))
    assert deepest[4] >= 4


def test_every_structure_is_written() -> None:
    random = Random(3)
    text = " ".join(generate(random, tokens=80, depth=4) for _ in range(600))
    for command in (
        r"\frac", r"\sqrt", r"\sqrt [", r"\begin{array}", r"\begin{cases}", r"\begin{aligned}", "_",
        "^", r"\lim", r"\sum", r"\int", r"\hat", r"\widehat", r"\mathbb", r"\mathcal", r"\left(",
        r"\left\{", r"\binom", r"\overbrace", r"\underbrace", r"\mathrm", r"\operatorname", r"\sin",
    ):  # fmt: skip
        assert command in text, command


def test_tree_round_trip_and_refusal() -> None:
    for formula in map(normalize, PAPERS):
        assert text_of(parse(formula)) == formula
    assert text_of(parse(r"x^2_i")) == "x ^ { 2 } _ { i }"
    assert text_of(parse(r"\frac12")) == r"\frac { 1 } { 2 }"
    for broken in (
        r"{ x",
        r"x }",
        r"\left( x",
        r"\begin{array}{c} x",
        r"\frac { 1 }",
        "x ^",
        r"x _ }",
    ):
        with pytest.raises(Unparsable):
            parse(broken)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_recombined_formulas_are_seeded_and_in_normal_form(seed: int) -> None:
    formula = RECOMBINER.sample(Random(seed))
    assert formula == RECOMBINER.sample(Random(seed))
    assert formula == normalize(formula)
    assert len(tokenize(formula)) <= 160


RECOMBINER = Recombiner(PAPERS)


def test_recombined_formulas_are_new_and_valid() -> None:
    random = Random(4)
    formulas = [RECOMBINER.sample(random) for _ in range(500)]
    assert len(set(formulas)) > 450
    failures = [f for f, v in zip(formulas, get_engine().parse(formulas), strict=True) if v]
    assert failures == []


def test_variations_keep_the_structure_and_the_words() -> None:
    formula = r"\frac { a _ { 1 } } { \mathrm { o u t } } + a ^ { 2 } = \beta"
    varied = {vary(formula, Random(seed)) for seed in range(50)}
    assert len(varied) > 20
    for text in varied:
        assert text == normalize(text)
        assert r"\mathrm { o u t }" in text
        tokens = text.split()
        assert tokens[0] == r"\frac"
        assert len(tokens) == len(formula.split())
    assert vary(r"\frac { a", Random(0)) == normalize(r"\frac { a")


def test_recombination_uses_only_what_it_was_given() -> None:
    given_tokens = {token for paper in PAPERS for token in tokenize(normalize(paper))}
    random = Random(6)
    for _ in range(300):
        for token in tokenize(RECOMBINER.sample(random)):
            assert token in given_tokens or token in CLASS_OF, token


def test_words_and_columns_are_left_alone() -> None:
    random = Random(8)
    text = " ".join(RECOMBINER.sample(random) for _ in range(300))
    assert r"\begin{array} { c c }" in text
    assert text.count(r"\begin{array}") == text.count(r"\begin{array} { c c }")
    for words in text.split(r"\mathrm { ")[1:]:
        assert words.split(" }")[0] in ("S L", "t r")


def test_lengths_follow_the_list() -> None:
    random = Random(9)
    lengths = [len(tokenize(RECOMBINER.sample(random))) for _ in range(400)]
    wanted = mean(len(tokenize(normalize(paper))) for paper in PAPERS)
    assert mean(lengths) == pytest.approx(wanted, rel=0.35)


def test_a_list_without_a_formula_is_refused() -> None:
    with pytest.raises(InputError, match="No formula"):
        Recombiner([r"\frac {", "}"])


def test_no_symbol_is_in_two_classes() -> None:
    assert len(CLASS_OF) == sum(len(group.members) for group in CLASSES)
