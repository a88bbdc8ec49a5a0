"""The alignment of two sequences: least cost, the same in both directions."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.metrics.layout import alignment as layout_align
from texlens.metrics.layout.alignment import Aligner, Costs
from texlens.metrics.layout.items import Item, Symbol

ALIGNER = Aligner(Costs())
SYMBOLS = st.sampled_from(
    [
        Symbol("glyph", "a", "italic"),
        Symbol("glyph", "a", "bold-upright"),
        Symbol("glyph", "α", "italic"),
        Symbol("glyph", "7", "upright"),
        Symbol("glyph", "("),
        Symbol("glyph", ")"),
        Symbol("glyph", ","),
        Symbol("accent", "ˆ"),
        Symbol("open", "^"),
        Symbol("open", "fraction"),
        Symbol("separator", "bar"),
        Symbol("separator", "cell"),
        Symbol("close", ""),
    ]
)
SEQUENCES = st.lists(SYMBOLS, max_size=9)


def items(symbols: list[Symbol]) -> list[Item]:
    return [Item(symbol) for symbol in symbols]


def glyphs(text: str) -> list[Item]:
    return [Item(Symbol("glyph", char, "italic")) for char in text]


def least_cost(a: list[Symbol], b: list[Symbol]) -> int:
    """The weighted edit distance by its definition."""

    @cache
    def cost(i: int, j: int) -> int:
        if i == j == 0:
            return 0
        ways = []
        if i:
            ways.append(cost(i - 1, j) + ALIGNER.weight(a[i - 1]))
        if j:
            ways.append(cost(i, j - 1) + ALIGNER.weight(b[j - 1]))
        if i and j:
            ways.append(cost(i - 1, j - 1) + ALIGNER.replacement(a[i - 1], b[j - 1]))
        return min(ways)

    return cost(len(a), len(b))


def cost_of(a: list[Symbol], b: list[Symbol], steps: list[tuple[int, int]]) -> int:
    total = 0
    for i, j in steps:
        if i < 0:
            total += ALIGNER.weight(b[j])
        elif j < 0:
            total += ALIGNER.weight(a[i])
        else:
            total += ALIGNER.replacement(a[i], b[j])
    return total


@settings(max_examples=200, deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_alignment_is_complete_and_cheapest(a: list[Symbol], b: list[Symbol]) -> None:
    steps = ALIGNER.align(a, b)
    assert [i for i, _ in steps if i >= 0] == list(range(len(a)))
    assert [j for _, j in steps if j >= 0] == list(range(len(b)))
    assert cost_of(a, b, steps) == least_cost(a, b)


@settings(max_examples=200, deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_mass_is_symmetric_and_zero_only_for_equals(a: list[Symbol], b: list[Symbol]) -> None:
    there = ALIGNER.compare(items(a), items(b))
    back = ALIGNER.compare(items(b), items(a))
    assert there.mass == back.mass
    assert sorted(there.steps) == sorted((i, j) for j, i in back.steps)
    assert (there.mass == 0) == (a == b)


def test_the_same_replacement_again_costs_less() -> None:
    once = ALIGNER.compare(glyphs("axbxc"), glyphs("aybxc")).mass
    twice = ALIGNER.compare(glyphs("axbxc"), glyphs("aybyc")).mass
    other = ALIGNER.compare(glyphs("axbxc"), glyphs("aybzc")).mass
    assert once == 1
    assert once < twice < other == 2


def test_brackets_are_corrected_in_pairs() -> None:
    assert ALIGNER.compare(glyphs("(x)"), glyphs("[x]")).mass == 1.25


def test_a_typeface_counts_once() -> None:
    bold = [Item(Symbol("glyph", char, "bold-upright")) for char in "abc"]
    assert ALIGNER.compare(glyphs("abc"), bold).mass == pytest.approx(Costs().style / 100)


def test_size_and_colour_count_as_style() -> None:
    symbol = Symbol("glyph", "(")
    style = Costs().style / 100
    assert ALIGNER.compare([Item(symbol, size=1.0)], [Item(symbol, size=1.2)]).mass == 0
    assert ALIGNER.compare([Item(symbol, size=1.0)], [Item(symbol, size=2.4)]).mass == style
    assert ALIGNER.compare([Item(symbol, size=0.0)], [Item(symbol, size=2.4)]).mass == 0
    assert ALIGNER.compare([Item(symbol, color="red")], [Item(symbol)]).mass == style


def test_very_long_sequences_are_aligned_at_equal_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = [s.symbol for s in glyphs("xabcdefy")], [s.symbol for s in glyphs("zacdeefg")]
    expected = ALIGNER.align(a, b)
    monkeypatch.setattr(layout_align, "MAX_CELLS", 0)
    steps = ALIGNER.align(a, b)
    assert [i for i, _ in steps if i >= 0] == list(range(len(a)))
    assert [j for _, j in steps if j >= 0] == list(range(len(b)))
    assert cost_of(a, b, steps) == cost_of(a, b, expected)
