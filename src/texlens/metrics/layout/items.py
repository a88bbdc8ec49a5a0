"""The items of a reading sequence: a symbol with its boxes, and what a careful reader sees besides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from texlens.metrics.layout import glyphs, spacing

SIZE_STEP = 1.6
"""Ratio from which two sizes differ: more than one step of TeX's delimiters."""
FINE_STEP = 1.15
"""The same for large operators, and for delimiters larger than what they enclose needs."""

BESIDE, STACKED, BEHIND = 1.0, 2.0, 4.0
"""Places of a script: beside its base, under or over it; or, a subscript, after a superscript."""
SMALL, FULL = 1.0, 2.0
"""Sizes of a fraction's parts: smaller than the line around it, or as large."""


class Symbol(NamedTuple):
    """One symbol: `kind` is glyph, accent, open, separator or close."""

    kind: str
    name: str
    face: str = ""


class Item(NamedTuple):
    """One symbol of the sequence with the boxes that show it, as indices into `Drawing.boxes`.

    `size` is a further visible property, 0 where there is none: the height of a delimiter or a large
    operator, the width of an arrow or of an accent over several signs (em); `BESIDE`, `STACKED` or
    `BEHIND` for the place of a script; `SMALL` or `FULL` for a fraction. It differs from another
    size by a ratio of more than `step`. `color` is that of the first box. `white` is the white
    before a sign (`spacing.white`); `reach` the width of what a limit is centred at (em), 0 if it is
    none; `side` the place of a cell in its column, in the first item of the cell.
    """

    symbol: Symbol
    boxes: tuple[int, ...] = ()
    size: float = 0.0
    color: str = ""
    step: float = SIZE_STEP
    white: float = spacing.UNKNOWN
    reach: float = 0.0
    side: str = ""


@cache
def sign_symbol(sign: str, font: str) -> Symbol:
    """The symbol of a sign set in a font."""
    return Symbol("glyph", glyphs.STYLES.get(sign, sign), glyphs.typeface(sign, font))


def joined(sign: str, items: Sequence[Item]) -> Item:
    """Several items as one sign."""
    boxes = tuple(box for item in items for box in item.boxes)
    return items[0]._replace(symbol=Symbol("glyph", sign), boxes=boxes, size=0.0)
