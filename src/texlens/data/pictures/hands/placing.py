"""A written symbol fitted into its box: how far hands keep to the proportions of print."""

from __future__ import annotations

from typing import Final

import numpy as np

from texlens.data.pictures.hands.glyphs import Glyph
from texlens.data.pictures.ink import Stroke

_SMALL: Final = frozenset(".,'′⋅:;∘˙¨…")
_FLAT: Final = 2.0  # wider than this against its height
_SIGN: Final = 0.12  # em: a flat symbol that is higher is more than a stroke
# How wide and high people make what print makes large: the medians of CROHME's training ink.
_AGAINST_PRINT: Final = {
    "−": (0.62, 1.0), "+": (0.68, 0.74), "=": (0.6, 0.95), "→": (0.8, 0.9), "∑": (0.74, 0.68),
    "∏": (0.74, 0.68), "∫": (0.7, 0.72), "(": (1.0, 0.82), ")": (1.0, 0.82), "′": (0.8, 0.7),
}  # fmt: skip
_EM_SYMBOLS: Final = 0.6  # em of a writer's typical letter
_OWN_SHARE: Final = 0.65  # how far a symbol keeps its writer's proportions
_OWN_SIZE: Final = 0.4  # and its size


def against_print(char: str, width: float, height: float) -> tuple[float, float]:
    """The size that people give a symbol of such a size in print."""
    wide, tall = _AGAINST_PRINT.get(char, (1.0, 1.0))
    return width * wide, height * tall


def fitted_size(
    glyph: Glyph, char: str, width: float, height: float, scale: float
) -> tuple[float, float]:
    """The width and height, in em, of a symbol in a box of such a size, in type of a `scale`."""
    if not glyph.width:  # our own strokes have no size
        return width, max(height, 0.02)
    own_width, own_height = glyph.width * _EM_SYMBOLS * scale, glyph.height * _EM_SYMBOLS * scale
    if char in _SMALL:
        largest = max(own_width, own_height)
        middle = (largest * max(width, height)) ** 0.5
        factor = min(middle, 1.5 * max(width, height)) / largest
        return own_width * factor, own_height * factor
    if width > _FLAT * height:
        factor = width / own_width
        tall = own_height * (factor**0.5 if factor < 1 else factor**0.25)
        if height > _SIGN * scale:  # an equals sign stays open
            tall = min(max(tall, 0.8 * height), 1.7 * height)
        return width, tall
    height = max(height, 1e-6)
    # Writers make some symbols larger than print does, and no two of them alike.
    tall = height * min(max((own_height / height) ** _OWN_SIZE, 0.75), 1.45)
    free = own_width * tall / own_height
    wide = free * (width / free) ** (1 - _OWN_SHARE)
    return min(max(wide, 0.55 * width), 1.8 * width), tall


def root(glyph: Glyph, low: Stroke, size: Stroke, sign: float) -> list[Stroke]:
    """A root's strokes in em: its hook as wide as the sign, its bar as long as the rest.

    Args:
        glyph: a whole root sign, in the unit square.
        low, size: the upper left corner and the size of the box of sign and bar together.
        sign: the part of the width that the sign has without its bar.
    """
    longest = max(glyph.strokes, key=len)
    # The hook ends where the pen first comes to the top after the lowest point.
    after = longest[int(np.argmax(longest[:, 1])) :]
    top = np.flatnonzero(after[:, 1] < after[:, 1].min() + 0.15)
    end = float(np.clip(after[top[0], 0], 0.08, 0.9)) if len(top) else 0.5
    strokes = []
    for stroke in glyph.strokes:
        x = np.interp(stroke[:, 0], [0.0, end, 1.0], [0.0, sign, 1.0])
        strokes.append(np.stack([x, stroke[:, 1]], axis=1) * size + low)
    return strokes
