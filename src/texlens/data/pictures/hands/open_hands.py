"""Hands that anybody may use: a file of strokes traced from handwriting fonts with an open licence.

`data/hand_glyphs/hands.txt` in the repository is such a file, and `tools/hands/make.py` writes it. A
line with `hand`, a tab and a name begins a hand. Each line after it is a symbol, a tab, and its
strokes, separated by `|`: points `x,y` in whole numbers, y down, in one scale for the whole hand.

A font writes each letter in one way, and people do not. So these hands are varied whenever they are
used: each symbol is bent, leaned, widened and left open a little, anew for each formula and each
time that it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.hands.glyphs import Glyph, glyph_of, typical_size
from texlens.data.pictures.ink import Stroke
from texlens.errors import InputError

_STEP: Final = 0.06  # of a typical letter, between the points of a stroke
_SLOW_ENDS: Final = 0.5  # how much closer the points are where a stroke begins and ends
_BEND: Final = 0.055  # of a typical letter: deviation of a hand's form of a symbol from the font's
_WOBBLE: Final = 0.032  # and of each symbol from that form
_WAVES: Final = 3
_LOOP: Final = 12  # points: shorter strokes are no loops
_ROUND: Final = 0.5  # of a typical letter: a narrower symbol is bent less
_THIN: Final = 0.3  # of its height: a narrower symbol has room beside it
_STRETCHED: Final = frozenset("()[]{}|∥⌊⌋⌈⌉∑∏∫∬∭∮")  # as large as print's, of any natural size
_CLOSED: Final = 0.12  # of a typical letter: an end so close to the beginning closes a loop


@dataclass(frozen=True, slots=True)
class OpenHand:
    """One hand of a file: the strokes of each of its symbols, in any one scale."""

    name: str
    symbols: Mapping[str, tuple[Stroke, ...]]

    def glyphs(self) -> dict[str, list[Glyph]]:
        """Its symbols, each in one form, with points as a pen would leave them."""
        unit = typical_size(self.symbols)
        return {
            char: [glyph_of([_as_written(stroke / unit) for stroke in strokes])]
            for char, strokes in self.symbols.items()
        }


def read_hands(path: Path) -> tuple[OpenHand, ...]:
    """The hands of a file. Raises InputError when it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read as hands: {error}.") from error
    hands: list[tuple[str, dict[str, tuple[Stroke, ...]]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        key, _, rest = line.partition("\t")
        if key == "hand" and rest:
            hands.append((rest, {}))
        elif line and not line.startswith("#"):
            try:
                hands[-1][1][key] = tuple(_stroke(part) for part in rest.split("|"))
            except (ValueError, IndexError) as error:
                raise InputError(
                    f"'{path}' line {number} is no symbol of a hand: 'hand<TAB>NAME' begins a hand, "
                    "then each line has a symbol, a tab and strokes like '0,0 5,10|2,4 8,4'."
                ) from error
    if not any(symbols for _, symbols in hands):
        raise InputError(f"'{path}' has no hands.")
    return tuple(OpenHand(name, symbols) for name, symbols in hands if symbols)


def _stroke(text: str) -> Stroke:
    stroke = np.array([point.split(",") for point in text.split()], dtype=np.float64)
    if stroke.ndim != 2 or stroke.shape[1] != 2 or not np.isfinite(stroke).all():
        raise ValueError("not points")
    return stroke


def digest_of_hands(hands: Sequence[OpenHand]) -> str:
    """A SHA-256 of hands: their names, symbols and strokes."""
    digest = hashlib.sha256()
    for hand in hands:
        for char, strokes in hand.symbols.items():
            digest.update(repr((hand.name, char, len(strokes))).encode())
            for stroke in strokes:
                digest.update(stroke.tobytes())
    return digest.hexdigest()


def _as_written(stroke: Stroke) -> Stroke:
    """A polyline at the points where a pen would be at equal times: slower at both ends."""
    lengths = np.hypot(*np.diff(stroke, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    time = np.linspace(0.0, 1.0, max(int(np.ceil(along[-1] / _STEP)) + 1, 3))
    time = (1 - _SLOW_ENDS) * time + _SLOW_ENDS * time**2 * (3 - 2 * time)
    at = time * along[-1]
    return np.stack([np.interp(at, along, stroke[:, axis]) for axis in (0, 1)], axis=1)


def varied(chars: Sequence[str], glyphs: Sequence[Glyph], rng: np.random.Generator) -> list[Glyph]:
    """The symbols of a formula as one writer puts them down.

    Args:
        chars: each symbol's character. Those of one character are bent in one way, and each a
            little in a way of its own.
        glyphs: how the hand of a font has them.
    """
    if not glyphs:
        return []
    strokes = [stroke for glyph in glyphs for stroke in glyph.strokes]
    owner = np.repeat(np.arange(len(glyphs)), [len(glyph.strokes) for glyph in glyphs])
    sizes = np.array([(glyph.width or 1.0, glyph.height or 1.0) for glyph in glyphs])
    strokes = _left_open(strokes, sizes[owner], rng)
    lengths = [len(stroke) for stroke in strokes]
    of = np.repeat(owner, lengths)
    points = np.concatenate(strokes) * sizes[of]
    # A line that is bent as much as a letter becomes another symbol: a 1 a parenthesis.
    bent = 0.2 + 0.8 * np.minimum(1.0, sizes.min(axis=1) / _ROUND)
    numbers = {char: number for number, char in enumerate(dict.fromkeys(chars))}
    kind = np.array([numbers[char] for char in chars])
    points += _waves(points, kind[of], len(numbers), rng) * (_BEND * bent)[of, None]
    lean, stretch = (
        rng.normal(0.0, 0.08, len(numbers)),
        rng.normal(0.0, [0.1, 0.07], (len(numbers), 2)),
    )
    points[:, 0] -= lean[kind][of] * points[:, 1]
    points *= np.exp(stretch)[kind][of]
    points += _waves(points, of, len(glyphs), rng) * (_WOBBLE * bent)[of, None]
    return _as_glyphs(chars, points, of, lengths, owner)


def _waves(points: Stroke, of: NDArray[np.int64], count: int, rng: np.random.Generator) -> Stroke:
    """Smooth displacements of the plane, a few slow waves each, of deviation 1.

    Args:
        points: (n, 2), in sizes of a letter.
        of: which of the `count` displacements each point has.
    """
    waves = rng.normal(0.0, 2.5, (count, 2, _WAVES))[of]
    phases = rng.uniform(0.0, 2 * np.pi, (count, _WAVES))[of]
    shifts = rng.normal(0.0, (2 / _WAVES) ** 0.5, (count, _WAVES, 2))[of]
    heights = np.sin(points[:, :1] * waves[:, 0] + points[:, 1:] * waves[:, 1] + phases)
    return np.asarray((heights[:, :, None] * shifts).sum(axis=1))


def _as_glyphs(
    chars: Sequence[str],
    points: Stroke,
    of: NDArray[np.int64],
    lengths: Sequence[int],
    owner: NDArray[np.int64],
) -> list[Glyph]:
    """Glyphs of points in sizes of a letter, each in the unit square of its own box."""
    firsts = np.flatnonzero(np.diff(of, prepend=-1))
    low = np.minimum.reduceat(points, firsts)
    extent = np.maximum.reduceat(points, firsts) - low
    # Flat and upright lines keep room beside them: fitted into a box, a little bend stays little.
    size = np.maximum(extent, 0.03)
    upright = size[:, 1] >= _ROUND
    size[:, 0] = np.where(upright, np.maximum(size[:, 0], _THIN * size[:, 1]), size[:, 0])
    unit = (points - (low - (size - extent) / 2)[of]) / size[of]
    strokes: list[list[Stroke]] = [[] for _ in chars]
    end = 0
    for glyph, length in zip(owner.tolist(), lengths, strict=True):
        strokes[glyph].append(unit[end : end + length])
        end += length
    return [
        Glyph(tuple(own), *((0.0, 0.0) if char in _STRETCHED else (width, height)))
        for char, own, (width, height) in zip(chars, strokes, size.tolist(), strict=True)
    ]


def _left_open(strokes: Sequence[Stroke], sizes: Stroke, rng: np.random.Generator) -> list[Stroke]:
    """Loops whose end misses their beginning, as most do; other strokes as they are."""
    gaps = np.array([stroke[0] - stroke[-1] for stroke in strokes]) * sizes
    closed = np.abs(gaps).max(axis=1) <= _CLOSED
    opened = list(strokes)
    for number in np.flatnonzero(closed).tolist():
        stroke = strokes[number]
        if len(stroke) < _LOOP:
            continue
        over = int(rng.integers(-2, 4))
        if over > 0:
            stroke = np.concatenate([stroke, stroke[1 : 1 + over]])
        drift = np.linspace(0.0, 1.0, len(stroke))[:, None] ** 2
        moved = stroke + drift * (rng.normal(0.0, 0.06, 2) / sizes[number])
        opened[number] = moved[: over or None] if over < 0 else moved
    return opened
