"""What a careful reader sees of white space, of the fit of delimiters and of columns.

Pure functions on boxes of ink; `sequence` puts their results into its items. Lengths are in em of the
size of type at that place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from texlens.metrics.layout import glyphs

if TYPE_CHECKING:
    from texlens.engine import Box

UNKNOWN = -1.0
"""The white before a sign where its width says nothing."""
WORD_SPACE = 0.25
"""Width of the space that separates two words."""
MOST_WORD_SPACES = 1.3
"""Wider white at the edge of a word is as wide as this many word spaces."""
OPERATOR_SPACE = 0.2
"""White on both sides of a backslash from which it is an operator."""
PLAIN_FENCE = 1.05
"""Height up to which a delimiter is of the ordinary size."""
FENCE_SIZES = (1.0, 1.2, 1.8, 2.4)
"""Heights of TeX's delimiters below its largest one in one piece."""
AXIS = 0.25
"""Height of the axis, on which delimiters are centred, over the baseline."""
COLUMN_SLACK = 0.4
"""Difference in width from which the place of a cell in its column is visible."""

Edges = tuple[float, float]
"""The left and right edge of some ink."""


@cache
def is_relation(char: str) -> bool:
    """Whether lines are aligned at such a sign: a relation or an operation."""
    return char in glyphs.ALIGNED_AT or unicodedata.category(char[:1] or "x") in ("Sm", "So")


def whites(parts: Sequence[Sequence[Box]]) -> list[float]:
    """The white before each of the neighbours on a line, in units of the space that separates there.

    The unit is one em in a formula, and at the edge of a word a word space, of which more is no more.
    `UNKNOWN` before the first, and where a punctuation mark or an arrow separates them.
    """
    found = [UNKNOWN]
    for i, (before, after) in enumerate(pairwise(parts)):
        first = after[0]
        if before[-1].char in glyphs.SEPARATORS or first.char in glyphs.SEPARATORS:
            found.append(UNKNOWN)
            continue
        white = max(0.0, gap(before, after)) / first.scale
        # Neighbouring boxes, whatever part they are of: how signs are grouped does not show.
        around = (
            before[-2] if len(before) > 1 else parts[i - 1][-1] if i else None,
            before[-1],
            first,
            after[1] if len(after) > 1 else parts[i + 2][0] if i + 2 < len(parts) else None,
        )
        if any(is_letter(a) and is_letter(b) for a, b in pairwise(around)):
            white = min(white / WORD_SPACE, MOST_WORD_SPACES)
        found.append(white)
    return found


def is_letter(box: Box | None) -> bool:
    """Whether this is an upright Latin letter, as words have them."""
    return box is not None and box.font == "normal" and box.char.isalpha() and box.char < "\u0370"


def white_of_cells(before: Sequence[Box], after: Sequence[Box]) -> float:
    """The same between two cells of a line; `UNKNOWN` where lines are aligned at a sign there."""
    if is_relation(before[-1].char) or is_relation(after[0].char):
        return UNKNOWN
    return whites([before, after])[1]


def gap(before: Sequence[Box], after: Sequence[Box]) -> float:
    """The distance from the right edge of some ink to the left edge of other ink (em of the base)."""
    right = before[0].x1 if len(before) == 1 else max(box.x1 for box in before)
    return (after[0].x0 if len(after) == 1 else min(box.x0 for box in after)) - right


def loose_fences(parts: Sequence[Sequence[Box]], fences: Sequence[Box | None]) -> frozenset[int]:
    r"""The delimiters on a line that are larger than what they enclose needs.

    `parts` are the neighbours on the line, `fences` the delimiter that each is, if any. A delimiter of
    `\left` or `\right` has the size that the engine found it to need, and one without a partner
    encloses nothing known: neither is in the result.
    """
    opened: list[tuple[int, Box]] = []
    loose: set[int] = set()
    for position, box in enumerate(fences):
        if box is None:
            continue
        char = box.char
        if char in glyphs.OPENING:
            opened.append((position, box))
            continue
        if char in glyphs.CLOSING:
            while opened and opened[-1][1].char not in glyphs.OPENING:
                opened.pop()
        elif not opened or opened[-1][1].char != char:
            opened.append((position, box))
            continue
        if opened:
            start, partner = opened.pop()
            inside = [box for part in parts[start + 1 : position] for box in part]
            pair = ((start, partner), (position, box))
            loose.update(at for at, fence in pair if _is_loose(fence, inside))
    return frozenset(loose)


def _is_loose(fence: Box, inside: Sequence[Box]) -> bool:
    """Whether a delimiter is larger than the ink that it encloses needs."""
    height = (fence.y1 - fence.y0) / fence.scale
    if height <= PLAIN_FENCE or fence.token.startswith(("\\left", "\\right")):
        return False
    axis = fence.base - AXIS * fence.scale
    reach = max((max(axis - box.y0, box.y1 - axis) for box in inside), default=0.0)
    smaller = max((size for size in FENCE_SIZES if size < height - 0.05), default=1.0)
    return 2 * reach / fence.scale <= smaller + 0.02


def column_sides(cells: Sequence[Sequence[Box]]) -> list[str]:
    """For each cell of a column: `left`, `centre` or `right`; '' where it fills the column."""
    edges = [(min(b.x0 for b in c), max(b.x1 for b in c)) if c else None for c in cells]
    inked = [edge for edge in edges if edge is not None]
    left, right = min(x0 for x0, _ in inked), max(x1 for _, x1 in inked)
    return [_side(edge, left, right) for edge in edges]


def _side(edge: Edges | None, left: float, right: float) -> str:
    if edge is None or (slack := right - left - (edge[1] - edge[0])) < COLUMN_SLACK:
        return ""
    place = (edge[0] - left) / slack
    return "left" if place < 0.25 else "right" if place > 0.75 else "centre"


def blocks(rows: Sequence[Sequence[Sequence[Box]]]) -> list[range]:
    """The columns of a table in groups; the columns of a group hold parts of one line each.

    Two columns are of one group where no white separates them, or where a relation stands between
    them in every row, as in lines that are aligned at their relations. `rows` holds the ink of every cell, shape
    (rows, columns).
    """
    columns = len(rows[0])
    starts = [0]
    for column in range(1, columns):
        pairs = [(row[column - 1], row[column]) for row in rows if row[column - 1] and row[column]]
        at_relation = [is_relation(a[-1].char) or is_relation(b[0].char) for a, b in pairs]
        aligned = bool(pairs) and all(at_relation)  # not by a single minus sign in a matrix
        right = max((box.x1 for row in rows for box in row[column - 1]), default=None)
        left = min((box.x0 for row in rows for box in row[column]), default=None)
        separate = right is not None and left is not None and left - right > glyphs.COLUMN_GAP
        if separate and not aligned:
            starts.append(column)
    return [range(a, b) for a, b in zip(starts, [*starts[1:], columns], strict=True)]


def cell_sides(rows: Sequence[Sequence[Sequence[Box]]], *, free: bool) -> list[list[str]]:
    """The place of every cell in its column, shape (rows, columns); '' where it is not compared.

    Where a formula was broken into lines (`free`, one group of columns), lines flush left and
    centred lines are the same; lines flush right are not.
    """
    sides = [[""] * len(row) for row in rows]
    if len(rows) < 2:
        return sides
    groups = blocks(rows)
    for group in groups:
        if len(group) > 1:
            continue
        column = group[0]
        if not any(row[column] for row in rows):
            continue
        for number, side in enumerate(column_sides([row[column] for row in rows])):
            broken = free and len(groups) == 1 and side == "centre"
            sides[number][column] = "left" if broken else side
    return sides
