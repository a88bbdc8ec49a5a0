"""The alignment of two reading sequences, and the cost of their differences.

The alignment is a weighted edit distance. Costs are integers in hundredths of a symbol, so that
the least cost is exact and the same in both directions. An error that repeats counts less: a change
of style (typeface, size, colour, limits set as scripts) counts once for each kind of change, and a
repeated replacement counts a part of the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from texlens.metrics.layout.glyphs import PAIRS, look_alike
from texlens.metrics.layout.items import Item, Symbol


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of each error, in hundredths of a wrong, missing or added symbol.

    Chosen on human ratings and rounded; each could be a third larger or smaller with no clear
    effect on the agreement (`benchmarks/metric_quality.py`, docs/metrics.md).
    """

    glyph: int = 100
    punctuation: int = 25
    """A full stop, comma or semicolon."""
    lookalike: int = 50
    """A sign in place of one that looks like it."""
    accent: int = 75
    mark: int = 75
    """A script, fraction, root, stack or enclosure; a fraction bar; a new row."""
    closing: int = 25
    """Where such a structure ends."""
    cell: int = 25
    """White between two columns of a table."""
    style: int = 15
    """A change of typeface, size, colour or of how limits are set: once for each kind of change."""
    repeated: int = 25
    """A replacement that occurred before, in hundredths of the first."""


WIDE = 0.9
"""By how much two white spaces differ visibly, in units of the space that separates."""
NARROW = 1 / 3
"""And how wide the narrower one may be, as a part of the other."""
REACH = 0.8
"""By how much the widths (em) of what two limits are centred at differ visibly."""
MAX_CELLS = 16_000_000
"""Longer pairs (4000 x 4000 symbols) are aligned with equal costs, which takes far less time."""

Step = tuple[int, int]


class Errors(NamedTuple):
    """The differences of two sequences: their `mass` in symbols, and the alignment.

    `steps` are pairs of indices into the two sequences, -1 where one has no symbol.
    """

    mass: float
    steps: list[Step]


class Aligner:
    """Compares sequences at given costs; keeps the costs of symbols and no other state."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.weight = cache(self._weight)  # symbol -> cost of one that is missing or added
        self.replacement = cache(self._replacement)  # two symbols -> cost of one for the other

    def compare(self, first: Sequence[Item], second: Sequence[Item]) -> Errors:
        """The errors between two sequences; their mass is the same in either order."""
        a = [item.symbol for item in first]
        b = [item.symbol for item in second]
        if a == b:
            steps = [(i, i) for i in range(len(a))]
        elif b < a:
            steps = [(i, j) for j, i in self.align(b, a)]
        else:
            steps = self.align(a, b)
        return Errors(self._mass(first, second, steps), steps)

    def _mass(self, first: Sequence[Item], second: Sequence[Item], steps: list[Step]) -> float:
        """The mass of the errors of an alignment, in symbols."""
        mass = 0.0
        # Brackets are corrected in pairs: a closing one counts as a repetition of its opening one.
        replaced: Counter[tuple[Symbol, Symbol]] = Counter()
        styles: set[tuple[str, ...]] = set()
        for i, j in steps:
            if i < 0 or j < 0:
                mass += self.weight((second[j] if i < 0 else first[i]).symbol)
                continue
            a, b = first[i], second[j]
            if a.symbol != b.symbol:
                style = style_change(a.symbol, b.symbol)
                if style:
                    styles.add(style)
                else:
                    replaced[pair_opened_by(a.symbol, b.symbol)] += 1
            if a[2:] != b[2:]:  # besides symbol and boxes
                styles.update(traits_changed(a, b))
        for (x, y), times in replaced.items():
            mass += self.replacement(x, y) * (1 + self.costs.repeated / 100 * (times - 1))
        return (mass + self.costs.style * len(styles)) / self.costs.glyph

    def anything_kept(
        self, first: Sequence[Item], second: Sequence[Item], steps: Sequence[Step]
    ) -> bool:
        """Whether any sign of one sequence, or one that looks like it, is in the other."""
        return any(
            i >= 0
            and j >= 0
            and first[i].symbol.kind == second[j].symbol.kind == "glyph"
            and self.replacement(first[i].symbol, second[j].symbol) <= self.costs.lookalike
            for i, j in steps
        )

    def _weight(self, symbol: Symbol) -> int:
        costs = self.costs
        match symbol.kind, symbol.name:
            case "glyph", "." | "," | ";":
                return costs.punctuation
            case "glyph", _:
                return costs.glyph
            case "accent", _:
                return costs.accent
            case "close", _:
                return costs.closing
            case "separator", "cell":
                return costs.cell
            case _:
                return costs.mark

    def _replacement(self, a: Symbol, b: Symbol) -> int:
        if a == b:
            return 0
        if style_change(a, b):
            return self.costs.style
        if a.kind != b.kind:
            return self.weight(a) + self.weight(b)
        either = max(self.weight(a), self.weight(b))
        if a.kind == "glyph" and look_alike(a.name, b.name):
            return min(self.costs.lookalike, either)
        return either

    def align(self, a: Sequence[Symbol], b: Sequence[Symbol]) -> list[Step]:
        """The alignment of least cost of two sequences of symbols, as steps in order."""
        shorter = min(len(a), len(b))
        start = next((k for k in range(shorter) if a[k] != b[k]), shorter)
        shorter -= start
        end = next((k for k in range(shorter) if a[-1 - k] != b[-1 - k]), shorter)
        inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
        if len(inner_a) * len(inner_b) > MAX_CELLS:
            inner = _align_equal_costs(inner_a, inner_b)
        else:
            inner = self._align_weighted(inner_a, inner_b)
        before = [(k, k) for k in range(start)]
        between = [(i + start if i >= 0 else -1, j + start if j >= 0 else -1) for i, j in inner]
        after = [(len(a) - k, len(b) - k) for k in range(end, 0, -1)]
        return before + between + after

    def _align_weighted(self, a: Sequence[Symbol], b: Sequence[Symbol]) -> list[Step]:
        """Weighted edit distance (Wagner and Fischer 1974), a row of the table at a time.

        Within a row the cheapest insertions are a running minimum over costs reduced by what
        inserting everything to the left would cost.
        """
        kinds_a, codes_a = _codes(a)
        kinds_b, codes_b = _codes(b)
        costs = np.array([[self.replacement(x, y) for y in kinds_b] for x in kinds_a], np.int32)
        costs = costs.reshape(len(kinds_a), len(kinds_b))[:, codes_b]
        inserted = np.zeros(len(b) + 1, np.int32)
        np.cumsum([self.weight(y) for y in b], out=inserted[1:])
        row = inserted
        best = np.empty_like(row)
        # 0: symbols of both, 1: one of a only, 2: one of b only.
        moves = np.full((len(a) + 1, len(b) + 1), 2, np.uint8)
        for i, symbol in enumerate(a):
            removed = row + self.weight(symbol)
            both = row[:-1] + costs[codes_a[i]]
            best[0] = removed[0]
            np.minimum(both, removed[1:], out=best[1:])
            row = np.minimum.accumulate(best - inserted) + inserted
            moves[i + 1, 0] = 1
            moves[i + 1, 1:] = np.where(row[1:] < best[1:], 2, both > removed[1:])
        steps: list[Step] = []
        i, j = len(a), len(b)
        while i or j:
            move = moves[i, j]
            i -= int(move != 2)
            j -= int(move != 1)
            steps.append((i if move != 2 else -1, j if move != 1 else -1))
        return steps[::-1]


@cache
def pair_opened_by(a: Symbol, b: Symbol) -> tuple[Symbol, Symbol]:
    """For one closing bracket in place of another: their opening brackets; else the two symbols."""
    if a.name in PAIRS and b.name in PAIRS:
        return a._replace(name=PAIRS[a.name]), b._replace(name=PAIRS[b.name])
    return a, b


def looks_the_same(a: Item, b: Item) -> bool:
    """Whether two items differ in nothing that costs."""
    return a.symbol == b.symbol and not any(traits_changed(a, b))


def traits_changed(a: Item, b: Item) -> Iterator[tuple[str, ...]]:
    """The kinds of change, besides the symbol, between two items that stand for each other."""
    same = a.symbol[:2] == b.symbol[:2]
    if same and sizes_differ(a, b):
        yield "size", a.symbol.kind, a.symbol.name * (a.symbol.kind == "open")
    if a.color != b.color:
        yield "color", a.color, b.color
    if whites_differ(a.white, b.white):
        yield ("white",)
    if same and min(a.reach, b.reach) > 0 and abs(a.reach - b.reach) > REACH:
        yield ("reach",)
    if a.side and b.side and a.side != b.side:
        yield "side", a.side, b.side


def sizes_differ(a: Item, b: Item) -> bool:
    """Whether the sizes of two items differ visibly; 0 is a size that is not compared."""
    small, large = (a, b) if a.size < b.size else (b, a)
    return small.size > 0 and large.size > large.step * small.size


def whites_differ(a: float, b: float) -> bool:
    """Whether white separates in one picture and not in the other; below 0 it is not compared."""
    return min(a, b) >= 0 and abs(a - b) >= WIDE and min(a, b) < NARROW * max(a, b)


@cache
def style_change(a: Symbol, b: Symbol) -> tuple[str, ...] | None:
    """The kind of change where two symbols differ in style only, else None."""
    if a.kind == b.kind == "glyph" and a.name == b.name:
        return ("face", a.face, b.face)
    return None


def _align_equal_costs(a: Sequence[Symbol], b: Sequence[Symbol]) -> list[Step]:
    """An alignment of least edit distance, for sequences too long for the weighted one."""
    steps: list[Step] = []
    for operation in Levenshtein.opcodes(a, b):
        one = range(operation.src_start, operation.src_end)
        two = range(operation.dest_start, operation.dest_end)
        steps += zip(one, two, strict=False)
        steps += [(i, -1) for i in one[len(two) :]] + [(-1, j) for j in two[len(one) :]]
    return steps


def _codes(symbols: Sequence[Symbol]) -> tuple[list[Symbol], NDArray[np.intp]]:
    """The different symbols of a sequence, and the sequence as indices into them."""
    index: dict[Symbol, int] = {}
    codes = [index.setdefault(symbol, len(index)) for symbol in symbols]
    return list(index), np.array(codes, np.intp)
