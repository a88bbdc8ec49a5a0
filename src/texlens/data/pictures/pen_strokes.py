"""The strokes with which a pen writes each symbol, from the table in `pen_strokes.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray


def _read_table() -> Iterator[tuple[str, str]]:
    table = resources.files(__package__).joinpath("pen_strokes.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            symbols, strokes = line.split(" ", 1)
            yield from ((symbol, strokes) for symbol in symbols)


GLYPHS: Final = dict(_read_table())
_CURVE_STEPS = 8  # points between two points of a smooth stroke
_LINE_STEPS = 6


@cache
def glyph_strokes(char: str) -> tuple[NDArray[np.float64], ...]:
    """The strokes of a symbol, each an array (points, 2) of x, y in 0..1; none if unknown."""
    return tuple(_stroke(text) for text in GLYPHS.get(char, "").split("|") if text)


def _stroke(text: str) -> NDArray[np.float64]:
    straight = text.startswith("-")
    points = np.array([[int(p[0]), int(p[1])] for p in text.removeprefix("-").split()]) / 9.0
    return _straight(points) if straight else _curve(points)


def _straight(points: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.linspace(0.0, 1.0, _LINE_STEPS, endpoint=False)[:, None]
    pieces = [a + steps * (b - a) for a, b in pairwise(points)]
    return np.concatenate([*pieces, points[-1:]])


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Catmull-Rom spline through the points."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0.0, 1.0, _CURVE_STEPS, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                   + (3 * b - a - 3 * c + d) * t**3)
        )  # fmt: skip
    return np.concatenate([*pieces, points[-1:]])
