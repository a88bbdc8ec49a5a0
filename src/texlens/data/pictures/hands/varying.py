"""Many hands of one font: symbols bent, leaned, widened and left open, anew in each formula.

A font has one form of a letter; people write it a little otherwise each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.hands.glyphs import Glyph
from texlens.data.pictures.ink import Stroke

_SPREAD: Final = 0.15  # deviation of the logarithms of a symbol's width and height
_BEND: Final = 0.055  # of a typical letter: deviation of a hand's form of a symbol from the font's
_WOBBLE: Final = 0.032  # and of each symbol from that form
_WAVES: Final = 3
_ROOT: Final = 0.15  # how much a root is bent, against a letter
_ENLARGED: Final = 0.1  # mean logarithm of the height of brackets and big operators, against print
_LOOP: Final = 12  # points: shorter strokes are no loops
_ROUND: Final = 0.5  # of a typical letter: a narrower symbol is bent less
_THIN: Final = 0.3  # of its height: a narrower symbol has room beside it
_STRETCHED: Final = frozenset("()[]{}|∥⌊⌋⌈⌉∑∏∫∬∭∮")  # as large as print's, of any natural size
_CLOSED: Final = 0.12  # of a typical letter: an end so close to the beginning closes a loop


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
    bent[[char == "√" for char in chars]] = _ROOT  # its waves are pressed together in a short root
    numbers = {char: number for number, char in enumerate(dict.fromkeys(chars))}
    kind = np.array([numbers[char] for char in chars])
    points += _waves(points, kind[of], len(numbers), rng) * (_BEND * bent)[of, None]
    lean = rng.normal(0.0, 0.08, len(numbers))
    stretch = np.exp(rng.normal(0.0, _SPREAD, (len(numbers), 2)))
    points[:, 0] -= lean[kind][of] * points[:, 1]
    points *= stretch[kind][of]
    points += _waves(points, of, len(glyphs), rng) * (_WOBBLE * bent)[of, None]
    stretched = np.array([char in _STRETCHED for char in chars])
    enlarged = np.exp(rng.normal([0.0, _ENLARGED], 0.12, (len(glyphs), 2)))
    enlarged = np.where(stretched[:, None], enlarged, 1.0)
    sized = [bool(glyph.width) and not s for glyph, s in zip(glyphs, stretched, strict=True)]
    return _as_glyphs(points, of, lengths, owner, enlarged, sized)


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
    points: Stroke,
    of: NDArray[np.int64],
    lengths: Sequence[int],
    owner: NDArray[np.int64],
    enlarged: Stroke,
    sized: Sequence[bool],
) -> list[Glyph]:
    """Glyphs, each in the unit square of its own box.

    Args:
        points: of all strokes, in sizes of a letter.
        of: the glyph of each point.
        lengths, owner: of each stroke, the number of its points and its glyph.
        enlarged: of each glyph, how much wider and higher it is than the box that it is given.
        sized: whether it keeps its size; else it fills any box.
    """
    firsts = np.flatnonzero(np.diff(of, prepend=-1))
    low = np.minimum.reduceat(points, firsts)
    extent = np.maximum.reduceat(points, firsts) - low
    # Flat and upright lines keep room beside them: fitted into a box, a little bend stays little.
    size = np.maximum(extent, 0.03)
    upright = size[:, 1] >= _ROUND
    size[:, 0] = np.where(upright, np.maximum(size[:, 0], _THIN * size[:, 1]), size[:, 0])
    unit = (points - (low - (size - extent) / 2)[of]) / size[of]
    unit = 0.5 + (unit - 0.5) * enlarged[of]
    strokes: list[list[Stroke]] = [[] for _ in sized]
    end = 0
    for glyph, length in zip(owner.tolist(), lengths, strict=True):
        strokes[glyph].append(unit[end : end + length])
        end += length
    return [
        Glyph(tuple(own), *((width, height) if has else (0.0, 0.0)))
        for own, has, (width, height) in zip(strokes, sized, size.tolist(), strict=True)
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
