"""Symbols as someone wrote them: cut out of marked ink, built from others, or our own strokes.

A symbol is named by the character that the engine's boxes have for it. CROHME names a hundred; for
others `built.txt` says of which symbols they can be put together (a D of a bar and a parenthesis),
and `pen_strokes` has strokes of our own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import numpy as np

from texlens.data.pictures.ink import Ink, Stroke
from texlens.data.pictures.pen_strokes import glyph_strokes

BAR: Final = "bar"  # a long minus, as fraction bars are
# CROHME's names that are not the character itself.
_CHARS: Final = {
    r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\theta": "θ", r"\lambda": "λ", r"\mu": "μ",
    r"\phi": "φ", r"\pi": "π", r"\sigma": "σ", r"\Delta": "Δ", r"\sqrt": "√", r"\sum": "∑",
    r"\int": "∫", r"\times": "×", r"\div": "÷", r"\pm": "±", r"\infty": "∞", r"\leq": "≤",
    r"\geq": "≥", r"\neq": "≠", r"\lt": "<", r"\gt": ">", r"\in": "∈", r"\forall": "∀",
    r"\exists": "∃", r"\rightarrow": "→", r"\ldots": "…", r"\prime": "′", r"\{": "{", r"\}": "}",
    r"\sin": "sin", r"\cos": "cos", r"\tan": "tan", r"\log": "log", r"\lim": "lim", "-": "−",
    "COMMA": ",",
}  # fmt: skip
WORDS: Final = frozenset(["sin", "cos", "tan", "log", "lim"])  # marked as one symbol
# Characters of boxes that are written alike.
_SAME: Final = {
    "ϕ": "φ", "∣": "|", "⋯": "…", "⩽": "≤", "⩾": "≥", "―": BAR, "-": "−", "∙": "⋅", "∗": "*",
    "⟶": "→", "⃗": "→", "△": "Δ", "∆": "Δ", "⋃": "∪", "⋂": "∩", "Π": "∏", "Σ": "∑", "∖": "\\",
    "ˉ": BAR, "¯": BAR, "˜": "~", "´": "′", "⟨": "<", "⟩": ">", "ϵ": "ε", "ς": "σ", "ϑ": "θ",
    "–": BAR, "—": BAR, "ϱ": "ρ", "ϖ": "π", "⟹": "⇒", "⟺": "⇔", "^": "ˆ", "⋀": "∧", "⋁": "∨", "⊥": "⟂", "⨁": "⊕", "⨂": "⊗",
}  # fmt: skip
_BAR_ASPECT: Final = 2.2  # a minus at least so long, in typical symbols, may be a bar
_MOST_STROKES: Final = 5
_ODD: Final = 1.3  # a symbol is left out when its size differs by this logarithm from the usual
_SIZED: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789αβγθλμφπσ")


@dataclass(frozen=True, slots=True)
class Glyph:
    """One written symbol.

    strokes: in the unit square of its box, y down.
    width, height: of its box, in sizes of that writer's typical letter.
    """

    strokes: tuple[Stroke, ...]
    width: float
    height: float


def canonical(char: str) -> str:
    """The character under which a box's character is written."""
    return _SAME.get(char, char)


def cut_out(ink: Ink) -> list[tuple[str, Glyph]]:
    """The marked symbols of an ink, each with its character."""
    found = []
    for name, places in ink.symbols:
        strokes = [ink.strokes[place] for place in places]
        if len(strokes) <= (_MOST_STROKES if name[1:] not in WORDS else 3 * _MOST_STROKES):
            found.append((_CHARS.get(name, name), strokes, _box(strokes)))
    sides = [box[2:].max() for char, _, box in found if char in _SIZED]
    if not sides:
        return []
    unit = max(float(np.median(sides)), 1e-6)
    glyphs = []
    for char, strokes, box in found:
        if char == "−" and box[2] > _BAR_ASPECT * unit:
            char = BAR
        glyphs.append((char, _glyph(strokes, box, unit)))
    return glyphs


def typical_size(symbols: Mapping[str, Sequence[Stroke]]) -> float:
    """The usual larger side of a hand's letters and digits; 1 where it has none."""
    sides = [float(_box(strokes)[2:].max()) for c, strokes in symbols.items() if c in _SIZED]
    return max(float(np.median(sides)), 1e-6) if sides else 1.0


def glyph_of(strokes: Sequence[Stroke]) -> Glyph:
    """A glyph of strokes in sizes of the writer's typical letter."""
    return _glyph(strokes, _box(strokes), 1.0)


def _box(strokes: Sequence[Stroke]) -> Stroke:
    """Left, top, width and height."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    return np.concatenate([low, points.max(axis=0) - low])


def _glyph(strokes: Sequence[Stroke], box: Stroke, unit: float) -> Glyph:
    # A flat symbol keeps its proportions: a minus that is a little wavy does not become a wave.
    size = np.maximum(box[2:], [0.03 * unit, 0.03 * unit])
    centred = (size - box[2:]) / 2
    unit_strokes = tuple((stroke - box[:2] + centred) / size for stroke in strokes)
    return Glyph(unit_strokes, float(size[0] / unit), float(size[1] / unit))


def without_odd(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """The glyphs of one character that have about its usual size: others are marked wrongly."""
    logs = np.log([[glyph.width, glyph.height] for glyph in glyphs])
    far = np.abs(logs - np.median(logs, axis=0)).max(axis=1) > _ODD
    return [glyph for glyph, odd in zip(glyphs, far, strict=True) if not odd]


@dataclass(frozen=True, slots=True)
class Part:
    """A symbol inside a built one: where in its box (x0, y0, x1, y1), and how it is turned."""

    char: str
    box: tuple[float, float, float, float]
    turns: str


@cache
def parts_of(char: str) -> tuple[Part, ...]:
    """The symbols of which another can be built; none where it cannot."""
    forms = _table("built.txt").get(char)
    return forms[0] if forms else ()


def other_forms(char: str) -> Sequence[tuple[Part, ...]]:
    """The forms that people give a symbol and fonts do not, each by its parts."""
    return _table("other_forms.txt").get(char, ())


@cache
def _table(name: str) -> dict[str, list[tuple[Part, ...]]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    table: dict[str, list[tuple[Part, ...]]] = defaultdict(list)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            char, *parts = line.split()
            table[char].append(tuple(map(_part, parts)))
    return table


def _part(text: str) -> Part:
    rest, _, turns = text.partition("!")
    name, _, box = rest.partition("@")
    x0, y0, x1, y1 = (int(number) / 100 for number in (box or "0,0,100,100").split(","))
    return Part(name, (x0, y0, x1, y1), turns)


def build(parts: Sequence[Part], glyphs: Sequence[Glyph]) -> Glyph:
    """A symbol put together of others, one for each part."""
    strokes: list[Stroke] = []
    for part, glyph in zip(parts, glyphs, strict=True):
        x0, y0, x1, y1 = part.box
        for stroke in glyph.strokes:
            strokes.append(turned(stroke, part.turns) * [x1 - x0, y1 - y0] + [x0, y0])
    first = glyphs[0]
    return Glyph(tuple(strokes), first.width, first.height)


def turned(stroke: Stroke, turns: str) -> Stroke:
    """A stroke of the unit square mirrored (`h`, `v`) or turned by a quarter (`q`), in this order."""
    for turn in turns:
        if turn == "h":
            stroke = stroke * [-1, 1] + [1, 0]
        elif turn == "v":
            stroke = stroke * [1, -1] + [0, 1]
        elif turn == "q":
            stroke = stroke[:, ::-1] * [-1, 1] + [1, 0]
    return stroke


@cache
def own(char: str) -> Glyph | None:
    """A symbol in our own strokes, if there are any."""
    strokes = glyph_strokes(char) or glyph_strokes({BAR: "−"}.get(char, char))
    return Glyph(strokes, 0.0, 0.0) if strokes else None
