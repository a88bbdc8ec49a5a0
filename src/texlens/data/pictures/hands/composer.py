"""From a formula's glyph boxes to the strokes of one hand.

Each formula has one writer. The boxes are moved as hands move them (wider or narrower lines, a
baseline that wanders, scripts and fractions a little off, symbols that grow or shrink along the
line), and each is filled with the writer's own symbol, as large as the box and about as wide as that
writer makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.hands.glyphs import BAR, WORDS, Glyph, canonical
from texlens.data.pictures.hands.placing import fitted_size, root
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.ink import Stroke
from texlens.engine import Box, Drawing

Floats = NDArray[np.float64]

# Fonts that hands write as plain letters; bold ones with every stroke twice.
_PLAIN: Final = frozenset(["normal", "italic"])
_BOLD: Final = frozenset(["bold", "bold-italic"])
_DOUBLED: Final = "double-struck"
_JOINED: Final = 0.5  # em: strokes further apart are not joined
_SQUARE: Final = 0.3  # em: a line whose box is higher and wider is no straight rule
_TWICE: Final = np.array([0.045, 0.01])  # em between the two strokes of bold letters
_SAG: Final = np.array([0.0, 0.04])  # em that a join hangs through
_CELL: Final = 0.2  # em: the line is stretched in steps of this length


@dataclass(frozen=True, slots=True)
class Manner:
    """How one formula is written; lengths in em.

    wide, tall: distances between symbols, against print. size, scripts: of symbols and of scripts,
    against print; growth:
    change of size over the line. stray: of each symbol; loose: of scripts, numerators and cells;
    wander, period, phase: of the baseline; rise: slope of the line; slant: shear; joins: part of
    neighbouring strokes that are joined; untidy: deformation of single strokes.
    """

    wide: float
    tall: float
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
            wide=float(np.exp(rng.normal(0.02, 0.17) if few else rng.normal(0.12, 0.13))),
            tall=float(np.exp(rng.normal(0.22, 0.16))),
            size=float(np.exp(rng.normal(0.05, 0.08))),
            scripts=float(np.exp(rng.normal(0.12, 0.12))),
            growth=float(rng.normal(0.0, 0.12)),
            stray=0.035 * care,
            loose=0.07 * care,
            wander=0.09 * care,
            period=float(rng.uniform(5.0, 14.0)),
            phase=float(rng.uniform(0.0, 2 * np.pi)),
            rise=float(rng.normal(0.0, 0.04)),
            slant=float(rng.normal(0.05, 0.13) if few else rng.normal(0.0, 0.08)),
            joins=float(rng.choice([0.0, 0.25], p=[0.85, 0.15])),
            untidy=0.02 * care,
        )


@dataclass(frozen=True, slots=True)
class _Symbol:
    """One thing to write: a character, its box (x0, y0, x1, y1), and the box's own facts."""

    char: str
    box: Floats
    of: Box
    sign: Floats | None = None  # of a root: the sign without its bar

    @property
    def spans(self) -> bool:
        """Whether it is as large as what it encloses or separates."""
        return self.of.kind != "glyph"


def compose(
    drawing: Drawing, hands: Hands, rng: np.random.Generator, manner: Manner | None = None
) -> tuple[Stroke, ...] | str:
    """The strokes of a formula in em, y down, in one hand; or why it cannot be written."""
    symbols = _symbols(drawing.boxes, hands, rng)
    for symbol in symbols:
        if symbol.of.font not in _PLAIN | _BOLD and symbol.of.font != _DOUBLED:
            return f"no hand here writes {symbol.of.font} letters"
    writer = hands.choose((symbol.char for symbol in symbols), rng)
    manner = manner or Manner.vary(rng, hands.few)
    pools: dict[str, list[Glyph]] = {}
    picked: list[Glyph] = []
    for symbol in symbols:
        if symbol.char not in pools:
            pools[symbol.char] = hands.glyphs(writer, symbol.char, rng)
        pool = pools[symbol.char]
        if not pool:
            return _missing(symbol.char)
        picked.append(pool[int(rng.integers(len(pool)))])
    page = _Page(drawing, symbols, picked, manner, rng)
    strokes: list[Stroke] = []
    last: tuple[Stroke, _Symbol] | None = None
    for symbol, glyph in zip(symbols, picked, strict=True):
        written = page.write(symbol, glyph)
        if last is not None and manner.joins and rng.random() < manner.joins:
            written = _joined(last, written, symbol)
        strokes += written
        last = (written[-1], symbol)
    return tuple(strokes) if strokes else "the formula has no ink"


def _missing(char: str) -> str:
    if any("\u2e80" <= one <= "\u9fff" or "\uf900" <= one <= "\ufaff" for one in char):
        return f"Chinese words are left out: '{char}' has no hand here"
    return f"no hand here has strokes for '{char}'"


def _symbols(boxes: Sequence[Box], hands: Hands, rng: np.random.Generator) -> list[_Symbol]:
    """What is written as one symbol: roots with their bars, names of functions, else each box."""
    symbols: list[_Symbol] = []
    at = 0
    bars = {box.place: box for box in boxes if box.kind == "rule"}
    roots = {box.place for box in boxes if box.kind == "radical" and box.place in bars}
    words = bool(hands.writers) and rng.random() < 0.8
    while at < len(boxes):
        box = boxes[at]
        corners = _corners(box)
        if box.kind == "radical" and box.place in roots:
            bar = _corners(bars[box.place])
            whole = np.concatenate(
                [np.minimum(corners[:2], bar[:2]), np.maximum(corners[2:], bar[2:])]
            )
            symbols.append(_Symbol("√", whole, box, corners))
        elif box.kind == "rule" and box.place in roots:
            pass  # written with its root
        elif words and (length := _word(boxes, at, hands)):
            some = np.array([_corners(b) for b in boxes[at : at + length]])
            whole = np.concatenate([some[:, :2].min(axis=0), some[:, 2:].max(axis=0)])
            symbols.append(_Symbol("".join(b.char for b in boxes[at : at + length]), whole, box))
            at += length - 1
        elif box.kind in ("rule", "line"):
            symbols.append(_Symbol(_line(box), corners, box))
        elif box.char:
            symbols += _characters(box, corners)
        at += 1
    return symbols


def _line(box: Box) -> str:
    """The character as which a rule is written: a bar, or a ring or a strike over what it covers."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    if min(width, height) > _SQUARE:
        return {"\\enclose": "0", "\\bcancel": "\\"}.get(box.token, "/")
    return BAR if width >= height else "|"


def _characters(box: Box, corners: Floats) -> list[_Symbol]:
    """A box of several characters is shared among them."""
    x = np.linspace(corners[0], corners[2], len(box.char) + 1)
    return [
        _Symbol(canonical(char), np.array([x[i], corners[1], x[i + 1], corners[3]]), box)
        for i, char in enumerate(box.char)
    ]


def _corners(box: Box) -> Floats:
    return np.array([box.x0, box.y0, box.x1, box.y1])


def _word(boxes: Sequence[Box], at: int, hands: Hands) -> int:
    """How many boxes from `at` on are the name of a function that is written as one symbol."""
    name = boxes[at].token.removeprefix("\\")
    if name not in WORDS or not hands.writes(name):
        return 0
    some = boxes[at : at + len(name)]
    fits = "".join(box.char for box in some) == name and len({box.place for box in some}) == 1
    return len(some) if fits else 0


class _Page:
    """Where things come on the page: print's places, moved as one hand moves them."""

    def __init__(
        self,
        drawing: Drawing,
        symbols: Sequence[_Symbol],
        glyphs: Sequence[Glyph],
        manner: Manner,
        rng: np.random.Generator,
    ) -> None:
        self.manner, self.rng = manner, rng
        self.width = max(drawing.width, 0.1)
        self.offsets: dict[str, Floats] = {}
        # The line is stretched where a symbol is wider than in print, in whichever row that is.
        cells = int(self.width / _CELL) + 2
        rate = np.full(cells, manner.wide)
        for symbol, glyph in zip(symbols, glyphs, strict=True):
            if symbol.spans:
                continue
            x0, x1 = symbol.box[0], symbol.box[2]
            size = (symbol.box[2:] - symbol.box[:2]) * manner.size
            wide = float(fitted_size(glyph, symbol.char, size, symbol.of.scale)[0])
            first = max(int(x0 / _CELL), 0)
            part = slice(first, max(int(np.ceil(x1 / _CELL)), first + 1))
            rate[part] = np.maximum(rate[part], wide / max(x1 - x0, _CELL) * manner.wide)
        rate *= np.exp(rng.normal(0.0, 4 * manner.stray, cells))
        self.edges = np.arange(cells + 1) * _CELL
        self.places = np.concatenate([[0.0], np.cumsum(rate * _CELL)])

    def write(self, symbol: _Symbol, glyph: Glyph) -> list[Stroke]:
        """A symbol's strokes on the page."""
        of, manner, rng = symbol.of, self.manner, self.rng
        x = np.interp(symbol.box[[0, 2]], self.edges, self.places)
        y = symbol.box[[1, 3]] * manner.tall
        size = symbol.box[2:] - symbol.box[:2]
        if symbol.spans:
            size = np.array([x[1] - x[0] if size[0] > 0.5 * size[1] else size[0], y[1] - y[0]])
        middle = np.array([x[0] + x[1], y[0] + y[1]]) / 2
        middle += self._offset(of.place, of.scale) + rng.normal(0.0, manner.stray * of.scale, 2)
        low = middle - size / 2
        if symbol.sign is not None:
            share = (symbol.sign[2] - symbol.sign[0]) / (symbol.box[2] - symbol.box[0])
            strokes = root(glyph, low, size, share)
        else:
            if not symbol.spans:
                grown = 1 + manner.growth * (symbol.box[0] / self.width - 0.5)
                if of.scale < 0.9:
                    size = size * manner.scripts
                size = size * manner.size * grown * np.exp(rng.normal(0.0, 0.06))
            fitted = fitted_size(glyph, symbol.char, size, of.scale)
            fitted = fitted * np.exp(rng.normal(0.0, 0.03, 2))
            low = middle - fitted / 2
            strokes = [stroke * fitted + low for stroke in glyph.strokes]
        if of.font in _BOLD:
            strokes += [stroke + _TWICE for stroke in strokes]
        elif of.font == _DOUBLED:
            stem = np.stack([np.full(9, low[0] + 0.2 * size[0]), np.linspace(0, 1, 9)], axis=1)
            strokes.append(stem * [1.0, size[1]] + [0.0, low[1]])
        return [self._untidy(stroke, size) for stroke in strokes]

    def _offset(self, place: str, scale: float) -> Floats:
        """How far off a numerator, script or cell is, with all that is in it."""
        total = np.zeros(2)
        at = place.find("/")
        while True:
            node = place if at < 0 else place[:at]
            if (node and not node.endswith((":-", ":0"))) or node.startswith("mfrac"):
                if node not in self.offsets:
                    loose = self.manner.loose * min(scale, 1.0)
                    self.offsets[node] = self.rng.normal(0.0, loose, 2)
                total = total + self.offsets[node] * (0.0 if node.endswith(":-") else 1.0)
            if at < 0:
                return total
            at = place.find("/", at + 1)

    def _untidy(self, stroke: Stroke, size: Floats) -> Stroke:
        """A stroke bent a little, and moved with its line."""
        manner = self.manner
        bend = self.rng.normal(0.0, manner.untidy * min(float(size.max()), 1.0), (3, 2))
        along = np.arange(len(stroke)) / max(len(stroke) - 1, 1)
        moved = stroke + bend[0] + along[:, None] * bend[1]
        moved += (along * (1 - along))[:, None] * (3 * bend[2])
        x, y = moved[:, 0], moved[:, 1]
        y += manner.wander * np.sin(x * (2 * np.pi / manner.period) + manner.phase)
        y += manner.rise * x
        x -= manner.slant * y
        return np.asarray(moved)


def _joined(last: tuple[Stroke, _Symbol], written: list[Stroke], symbol: _Symbol) -> list[Stroke]:
    """The first stroke begun without lifting the pen, between letters or digits side by side."""
    stroke, before = last
    if not (before.char.isalnum() and symbol.char.isalnum() and before.of.place == symbol.of.place):
        return written
    gap = written[0][0] - stroke[-1]
    if not 0.0 < gap[0] < _JOINED * symbol.of.scale or abs(gap[1]) > _JOINED * symbol.of.scale:
        return written
    bridge = np.linspace(stroke[-1], written[0][0], 5)[1:-1] + _SAG
    return [np.concatenate([stroke[-1:], bridge, written[0]]), *written[1:]]
