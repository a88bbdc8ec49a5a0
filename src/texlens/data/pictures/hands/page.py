"""Where things come on the page: print's places, moved as one hand moves them.

Each symbol gets its place alone; all points of all strokes are moved together, in few calls of numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.hands.glyphs import Glyph
from texlens.data.pictures.hands.placing import against_print, fitted_size, root
from texlens.data.pictures.ink import Stroke
from texlens.engine import Box, Drawing

Floats = NDArray[np.float64]

# Fonts that hands write as plain letters; bold ones with every stroke twice.
PLAIN: Final = frozenset(["normal", "italic"])
BOLD: Final = frozenset(["bold", "bold-italic"])
DOUBLED: Final = "double-struck"
_TWICE: Final = np.array([0.045, 0.01])  # em between the two strokes of bold letters
_IN_PLACE: Final = (1.0, 1.0, 0.0, 0.0)  # strokes that are fitted already
_CELL: Final = 0.2  # em: the line is stretched in steps of this length


@dataclass(frozen=True, slots=True)
class Manner:
    """How one formula is written; lengths in em.

    wide, tall: distances between symbols, gap: of numerators and denominators from their bar, against
    print. size, scripts: of symbols and of scripts, against print; growth: change of size over the
    line. stray: of each symbol; loose: of scripts, numerators and cells; wander, period, phase: of the
    baseline; rise: slope of the line; slant: shear; joins: part of neighbouring strokes that are
    joined; untidy: deformation of single strokes.
    """

    wide: float
    tall: float
    gap: float
    size: float
    scripts: float
    growth: float
    stray: float
    loose: float
    wander: float
    period: float
    phase: float
    rise: float
    slant: float
    joins: float
    untidy: float

    @classmethod
    def vary(cls, rng: np.random.Generator, few: bool = False) -> Manner:
        """A random manner, from neat to careless; more of them where `few` hands are varied."""
        care = float(rng.uniform(0.4, 1.6))
        return cls(
            wide=float(np.exp(rng.normal(0.02 if few else -0.02, 0.17))),
            tall=float(np.exp(rng.normal(0.22, 0.16))),
            gap=float(rng.uniform(0.1, 0.55)),
            size=float(np.exp(rng.normal(0.1 if few else 0.05, 0.08))),
            scripts=float(np.exp(rng.normal(-0.06 if few else 0.12, 0.14))),
            growth=float(rng.normal(0.0, 0.12)),
            stray=0.035 * care,
            loose=0.07 * care,
            wander=0.09 * care,
            period=float(rng.uniform(5.0, 14.0)),
            phase=float(rng.uniform(0.0, 2 * np.pi)),
            rise=float(rng.normal(0.0, 0.04)),
            slant=float(rng.normal(0.04, 0.1) if few else rng.normal(0.0, 0.08)),
            joins=float(rng.choice([0.0, 0.25], p=[0.85, 0.15])),
            untidy=0.02 * care,
        )


@dataclass(frozen=True, slots=True)
class Symbol:
    """One thing to write: a character, its box (x0, y0, x1, y1), and the box's own facts."""

    char: str
    box: tuple[float, float, float, float]
    of: Box
    sign: float | None = None  # of a root: the part of the width that is the sign without its bar

    @property
    def spans(self) -> bool:
        """Whether it is as large as what it encloses or separates."""
        return self.of.kind != "glyph"


class Page:
    """A formula's symbols, in the places that one manner gives them."""

    def __init__(
        self,
        drawing: Drawing,
        symbols: Sequence[Symbol],
        glyphs: Sequence[Glyph],
        manner: Manner,
        rng: np.random.Generator,
    ) -> None:
        self.manner, self.rng = manner, rng
        self.width = max(drawing.width, 0.1)
        self._offsets: dict[str, Floats] = {}
        self._strokes: list[Stroke] = []
        # Of each stroke: its symbol's width and height, left and top; its deformation (3, 2).
        self._fits: list[tuple[float, float, float, float]] = []
        self._bends: list[Floats] = []
        # The line is stretched where a symbol is wider than in print, in whichever row that is.
        cells = int(self.width / _CELL) + 2
        rate = [0.0] * cells
        written: list[float] = []  # heights; 0: as high as what it spans
        for symbol, glyph in zip(symbols, glyphs, strict=True):
            if symbol.spans:
                written.append(0.0)
                continue
            x0, y0, x1, y1 = symbol.box
            width, height = against_print(symbol.char, x1 - x0, y1 - y0)
            narrower = width / (x1 - x0) if x1 > x0 else 1.0
            width, height = width * manner.size, height * manner.size
            wide, tall = fitted_size(glyph, symbol.char, width, height, symbol.of.scale)
            written.append(tall)
            wide = max(wide / max(x1 - x0, _CELL), narrower) * manner.wide
            first = max(int(x0 / _CELL), 0)
            for cell in range(first, min(max(int(np.ceil(x1 / _CELL)), first + 1), cells)):
                rate[cell] = max(rate[cell], wide)
        # Without a symbol there is as much paper as in print.
        rates = np.array([cell or manner.wide for cell in rate]) * np.exp(
            rng.normal(0.0, 4 * manner.stray, cells)
        )
        edges = np.arange(cells + 1) * _CELL
        places = np.concatenate([[0.0], np.cumsum(rates * _CELL)])
        sides = np.array([(symbol.box[0], symbol.box[2]) for symbol in symbols]).reshape(-1, 2)
        self._sides: list[list[float]] = np.interp(sides, edges, places).tolist()
        self._tops, self._bottoms = _heights(symbols, written, manner)

    def write(self, number: int, symbol: Symbol, glyph: Glyph) -> None:
        """Write a symbol, the `number`-th of the formula."""
        of, manner, rng = symbol.of, self.manner, self.rng
        x0, x1 = self._sides[number]
        y0, y1 = self._tops[number], self._bottoms[number]
        width, height = symbol.box[2] - symbol.box[0], symbol.box[3] - symbol.box[1]
        if symbol.spans:
            width, height = x1 - x0 if width > 0.5 * height else width, y1 - y0
        off = self._offset(of.place, of.scale) + rng.normal(0.0, manner.stray * of.scale, 2)
        middle_x, middle_y = (x0 + x1) / 2 + float(off[0]), (y0 + y1) / 2 + float(off[1])
        left, top = middle_x - width / 2, middle_y - height / 2
        if symbol.sign is not None:
            strokes = root(glyph, np.array([left, top]), np.array([width, height]), symbol.sign)
            fit = _IN_PLACE
        else:
            if not symbol.spans:
                # Negative space can put a symbol beyond the formula's width.
                along = min(max(symbol.box[0] / self.width, 0.0), 1.0)
                grown = 1 + manner.growth * (along - 0.5)
                by = manner.scripts if of.scale < 0.9 else 1.0
                drift = float(np.exp(rng.normal(0.0, 0.06)))
                width, height = against_print(symbol.char, width, height)
                width = width * by * manner.size * grown * drift
                height = height * by * manner.size * grown * drift
            wide, tall = fitted_size(glyph, symbol.char, width, height, of.scale)
            stretch = np.exp(rng.normal(0.0, 0.03, 2))
            wide, tall = wide * float(stretch[0]), tall * float(stretch[1])
            left, top = middle_x - wide / 2, middle_y - tall / 2
            strokes, fit = list(glyph.strokes), (wide, tall, left, top)
        if of.font in BOLD or of.font == DOUBLED:
            strokes = [stroke * fit[:2] + fit[2:] for stroke in strokes]
            fit = _IN_PLACE
            if of.font in BOLD:
                strokes += [stroke + _TWICE for stroke in strokes]
            else:
                stem = np.stack([np.full(9, left + 0.2 * width), np.linspace(0, 1, 9)], axis=1)
                strokes.append(stem * [1.0, height] + [0.0, top])
        self._add(strokes, fit, max(width, height))

    def _add(
        self, strokes: Sequence[Stroke], fit: tuple[float, float, float, float], size: float
    ) -> None:
        self._strokes += strokes
        self._fits += [fit] * len(strokes)
        deviation = self.manner.untidy * min(size, 1.0)
        self._bends.append(self.rng.normal(0.0, deviation, (len(strokes), 3, 2)))

    def _offset(self, place: str, scale: float) -> Floats:
        """How far off a numerator, script or cell is, with all that is in it."""
        total = np.zeros(2)
        at = place.find("/")
        while True:
            node = place if at < 0 else place[:at]
            if (node and not node.endswith((":-", ":0"))) or node.startswith("mfrac"):
                if node not in self._offsets:
                    loose = self.manner.loose * min(scale, 1.0)
                    self._offsets[node] = self.rng.normal(0.0, loose, 2)
                total = total + self._offsets[node] * (0.0 if node.endswith(":-") else 1.0)
            if at < 0:
                return total
            at = place.find("/", at + 1)

    @property
    def count(self) -> int:
        """How many strokes are written so far."""
        return len(self._strokes)

    def strokes(self) -> list[Stroke]:
        """What is written: each stroke in its place, bent a little, and moved with its line."""
        if not self._strokes:
            return []
        manner = self.manner
        lengths = [len(stroke) for stroke in self._strokes]
        bends = np.concatenate(self._bends).reshape(-1, 6)
        each = np.repeat(np.concatenate([np.array(self._fits), bends], axis=1), lengths, axis=0)
        along = np.concatenate([_along(length) for length in lengths])
        moved = np.concatenate(self._strokes) * each[:, :2] + each[:, 2:4]
        moved = moved + each[:, 4:6] + along * each[:, 6:8]
        moved += (along * (1 - along)) * (3 * each[:, 8:])
        x, y = moved[:, 0], moved[:, 1]
        y += manner.wander * np.sin(x * (2 * np.pi / manner.period) + manner.phase)
        y += manner.rise * x
        x -= manner.slant * y
        ends = np.cumsum(lengths).tolist()
        return [moved[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@lru_cache(maxsize=1024)
def _along(length: int) -> Floats:
    """From 0 to 1 along a stroke of so many points, as a column."""
    return np.arange(length)[:, None] / max(length - 1, 1)


def _heights(
    symbols: Sequence[Symbol], written: Sequence[float], manner: Manner
) -> tuple[list[float], list[float]]:
    """Tops and bottoms of all boxes: those of print, further apart, with fractions drawn together.

    Print keeps numerators and denominators off their bar; hands put them close to it.

    Args:
        written: how high each symbol will be; 0: as its box.
    """
    printed = np.array([symbol.box for symbol in symbols]).reshape(-1, 4)[:, [1, 3]]
    sides = printed * manner.tall
    places = [symbol.of.place for symbol in symbols]
    wholes = [n for n, symbol in enumerate(symbols) if symbol.sign is not None or _is_bar(symbol)]
    # Above and below a symbol that is lower than its box there is paper; negative where it sticks out.
    high = sides[:, 1] - sides[:, 0]
    own = [tall or whole for tall, whole in zip(written, high.tolist(), strict=True)]
    paper = (high - own) / 2

    def inside(number: int, part: str) -> list[int]:
        node = places[number][:-1] + part
        return [n for n, place in enumerate(places) if place.startswith(node)]

    for number in sorted(wholes, key=lambda n: -places[n].count("/")):  # inner ones first
        first = inside(number, "0")
        if symbols[number].sign is not None:
            if first:  # a root follows what it encloses
                moved = sides[first] - printed[first] * manner.tall
                highest, lowest = printed[first].argmin(axis=0)[0], printed[first].argmax(axis=0)[1]
                sides[number] += max(moved[highest, 0], 0.0), min(moved[lowest, 1], 0.0)
            continue
        bar = sides[number].mean()
        if first:
            far = bar - (sides[first, 1] - paper[first]).max()
            sides[first] += far * ((1 - manner.gap) if far > 0 else 1.0)
        if second := inside(number, "1"):
            far = (sides[second, 0] + paper[second]).min() - bar
            sides[second] -= far * ((1 - manner.gap) if far > 0 else 1.0)
    return sides[:, 0].tolist(), sides[:, 1].tolist()


def _is_bar(symbol: Symbol) -> bool:
    """Whether it is the bar of a fraction."""
    return symbol.of.place.endswith(":-") and "mfrac" in symbol.of.place.rpartition("/")[2]
