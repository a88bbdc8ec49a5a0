"""From a formula's glyph boxes to the strokes of one hand.

Each formula has one writer. The boxes are moved as hands move them (wider or narrower lines, a
baseline that wanders, scripts and fractions a little off, symbols that grow or shrink along the
line), and each is filled with the writer's own symbol, as large as the box and about as wide as that
writer makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from texlens.data.pictures.hands.glyphs import BAR, WORDS, Glyph, canonical
from texlens.data.pictures.hands.page import BOLD, DOUBLED, PLAIN, Manner, Page, Symbol
from texlens.data.pictures.hands.varying import varied
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.ink import Stroke
from texlens.engine import Box, Drawing

_JOINED: Final = 0.5  # em: strokes further apart are not joined
_SQUARE: Final = 0.3  # em: a line whose box is higher and wider is no straight rule
_SAG: Final = np.array([0.0, 0.04])  # em that a join hangs through


def compose(
    drawing: Drawing, hands: Hands, rng: np.random.Generator, manner: Manner | None = None
) -> tuple[Stroke, ...] | str:
    """The strokes of a formula in em, y down, in one hand; or why it cannot be written."""
    symbols = _symbols(drawing.boxes, hands, rng)
    for symbol in symbols:
        if symbol.of.font not in PLAIN | BOLD and symbol.of.font != DOUBLED:
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
    if hands.few:
        picked = varied([symbol.char for symbol in symbols], picked, rng)
    page = Page(drawing, symbols, picked, manner, rng)
    ends: list[int] = []  # of each symbol: the strokes up to and with its own
    joined: list[int] = []
    for number, (symbol, glyph) in enumerate(zip(symbols, picked, strict=True)):
        page.write(number, symbol, glyph)
        ends.append(page.count)
        if number and manner.joins and rng.random() < manner.joins:
            joined.append(number)
    strokes = page.strokes()
    for number in joined:
        if _may_join(symbols[number - 1], symbols[number]):
            first = ends[number - 1]
            strokes[first] = _joined(strokes[first - 1], strokes[first], symbols[number].of.scale)
    return tuple(strokes) if strokes else "the formula has no ink"


def _missing(char: str) -> str:
    if any("\u2e80" <= one <= "\u9fff" or "\uf900" <= one <= "\ufaff" for one in char):
        return f"Chinese words are left out: '{char}' has no hand here"
    return f"no hand here has strokes for '{char}'"


def _symbols(boxes: Sequence[Box], hands: Hands, rng: np.random.Generator) -> list[Symbol]:
    """What is written as one symbol: roots with their bars, names of functions, else each box."""
    symbols: list[Symbol] = []
    at = 0
    bars = {box.place: box for box in boxes if box.kind == "rule"}
    roots = {box.place for box in boxes if box.kind == "radical" and box.place in bars}
    words = bool(hands.writers) and rng.random() < 0.8
    while at < len(boxes):
        box = boxes[at]
        corners = (box.x0, box.y0, box.x1, box.y1)
        if box.kind == "radical" and box.place in roots:
            whole = _around([box, bars[box.place]])
            share = (box.x1 - box.x0) / (whole[2] - whole[0])
            symbols.append(Symbol("√", whole, box, share))
        elif box.kind == "rule" and box.place in roots:
            pass  # written with its root
        elif words and (length := _word(boxes, at, hands)):
            some = boxes[at : at + length]
            symbols.append(Symbol("".join(b.char for b in some), _around(some), box))
            at += length - 1
        elif box.kind in ("rule", "line"):
            symbols.append(Symbol(_line(box), corners, box))
        elif len(box.char) == 1:
            symbols.append(Symbol(canonical(box.char), corners, box))
        elif box.char:
            symbols += _characters(box)
        at += 1
    return symbols


def _around(boxes: Sequence[Box]) -> tuple[float, float, float, float]:
    """The smallest box around some."""
    return (
        min(box.x0 for box in boxes),
        min(box.y0 for box in boxes),
        max(box.x1 for box in boxes),
        max(box.y1 for box in boxes),
    )


def _line(box: Box) -> str:
    """The character as which a rule is written: a bar, or a ring or a strike over what it covers."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    if min(width, height) > _SQUARE:
        return {"\\enclose": "0", "\\bcancel": "\\"}.get(box.token, "/")
    return BAR if width >= height else "|"


def _characters(box: Box) -> list[Symbol]:
    """A box of several characters is shared among them."""
    x = np.linspace(box.x0, box.x1, len(box.char) + 1).tolist()
    return [
        Symbol(canonical(char), (x[i], box.y0, x[i + 1], box.y1), box)
        for i, char in enumerate(box.char)
    ]


def _word(boxes: Sequence[Box], at: int, hands: Hands) -> int:
    """How many boxes from `at` on are the name of a function that is written as one symbol."""
    name = boxes[at].token.removeprefix("\\")
    if name not in WORDS or not hands.writes(name):
        return 0
    some = boxes[at : at + len(name)]
    fits = "".join(box.char for box in some) == name and len({box.place for box in some}) == 1
    return len(some) if fits else 0


def _may_join(before: Symbol, symbol: Symbol) -> bool:
    """Whether two symbols are letters or digits side by side."""
    alike = before.char.isalnum() and symbol.char.isalnum()
    return alike and before.of.place == symbol.of.place


def _joined(last: Stroke, first: Stroke, scale: float) -> Stroke:
    """A symbol's first stroke, begun without lifting the pen where the last one is near."""
    gap = first[0] - last[-1]
    if not 0.0 < gap[0] < _JOINED * scale or abs(gap[1]) > _JOINED * scale:
        return first
    bridge = np.linspace(last[-1], first[0], 5)[1:-1] + _SAG
    return np.concatenate([last[-1:], bridge, first])
