"""Hands that anybody may use: a file of strokes traced from handwriting fonts with an open licence.

`data/hand_glyphs/hands.txt` in the repository is such a file, and `tools/hands/make.py` writes it. A
line with `hand`, a tab and a name begins a hand. Each line after it is a symbol, a tab, and its
strokes, separated by `|`: points `x,y` in numbers, y down, in one scale for the whole hand. A line that
begins with `# ` is a comment.

A font writes each letter in one way, and people do not: `varying` makes many hands of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from texlens.data.pictures.hands.glyphs import Glyph, glyph_of, typical_size
from texlens.data.pictures.ink import Stroke
from texlens.errors import InputError

_STEP: Final = 0.06  # of a typical letter, between the points of a stroke
_SLOW_ENDS: Final = 0.5  # how much closer the points are where a stroke begins and ends


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
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' has no hands: it is not text in UTF-8.") from error
    hands: list[tuple[str, dict[str, tuple[Stroke, ...]]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        key, _, rest = line.partition("\t")
        if key == "hand" and rest:
            hands.append((rest, {}))
        elif line and not line.startswith("# "):
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
