"""Synthetic handwriting: formulas laid out by MathJax, written with the strokes of `pen_strokes`.

Every symbol's box comes from the engine and is filled with the strokes of the symbol, deformed as
handwriting deforms them. Each formula has a writer: the line drifts up and down, and a symbol is
deformed in the same way each time. Each single symbol is also shifted, scaled and turned a little.
The pictures are labelled ``synthetic-hand``, since they only approximate real ink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.ink import Stroke
from texlens.data.pictures.pen_strokes import glyph_strokes
from texlens.engine import Box, Drawing, Failure, get_engine

_BLACKBOARD = "double-struck"
_FONTS = frozenset(["normal", "italic", _BLACKBOARD])  # written with the same strokes
_LINE_POINTS = 12
_SPREAD = frozenset(["rule", "line"])  # what grows in width with the space between symbols


@dataclass(frozen=True, slots=True)
class Writer:
    """How one writer differs from print.

    habit: deformation of a symbol, the same each time, as a share of its box.
    stray: standard deviation of each single symbol's shift, in em of its own size.
    sizing: standard deviation of symbol sizes; turning: of their angles, in radians.
    drift: amplitude of the line's drift up and down, in em.
    spread: how much wider symbols are set than in print.
    """

    habit: float = 0.07
    stray: float = 0.035
    sizing: float = 0.07
    turning: float = 0.05
    drift: float = 0.12
    spread: float = 1.15

    @classmethod
    def vary(cls, rng: np.random.Generator) -> Writer:
        """A random writer, from neat to careless."""
        untidy = float(rng.uniform(0.3, 1.5))
        spread = float(rng.uniform(1.02, 1.3))
        return cls(
            0.07 * untidy, 0.035 * untidy, 0.07 * untidy, 0.05 * untidy, 0.12 * untidy, spread
        )  # fmt: skip


def handwrite(
    formulas: Sequence[str], rngs: Sequence[np.random.Generator]
) -> list[tuple[Stroke, ...] | str]:
    """The strokes of each formula for `ink.render_ink`, or the reason why it cannot be written.

    Args:
        formulas: LaTeX, set in display style.
        rngs: one for each formula; the same state gives the same strokes.
    """
    drawings = get_engine().draw(formulas)
    return [
        drawing.message if isinstance(drawing, Failure) else write_drawing(drawing, rng)
        for drawing, rng in zip(drawings, rngs, strict=True)
    ]


def write_drawing(
    drawing: Drawing, rng: np.random.Generator, writer: Writer | None = None
) -> tuple[Stroke, ...] | str:
    """Strokes in em, y down, for a formula's boxes; or which symbol has no strokes."""
    writer = writer or Writer.vary(rng)
    habits: dict[str, NDArray[np.float64]] = {}
    phase, length = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(6.0, 15.0)
    strokes: list[Stroke] = []
    for box in drawing.boxes:
        forms = _forms(box)
        if forms is None:
            return f"no strokes are known for '{box.char}' ({box.font})"
        if box.char not in habits:
            habits[box.char] = rng.normal(0.0, writer.habit, size=(2, 2, 2))
        place = _placement(box, writer, rng)
        for form in forms:
            points = place(_bend(form, habits[box.char]))
            drift = writer.drift * np.sin(points[:, :1] / length * 2.0 * np.pi + phase)
            strokes.append(points + drift * np.array([[0.0, 1.0]]))
    return tuple(strokes) if strokes else "the formula has no ink"


def _forms(box: Box) -> Sequence[Stroke] | None:
    """The strokes of a box's content, in 0..1; None for a symbol without strokes."""
    if box.kind in ("rule", "line"):
        stem = _stem(0.5)
        return [stem[:, ::-1] if box.x1 - box.x0 >= box.y1 - box.y0 else stem]
    if box.font not in _FONTS or not box.char:
        return None
    forms: list[Stroke] = []
    for number, char in enumerate(box.char):
        strokes = glyph_strokes(char)
        if not strokes:
            return None
        left, share = np.array([number, 0.0]), np.array([len(box.char), 1.0])
        forms += [(stroke + left) / share for stroke in strokes]
    if box.font == _BLACKBOARD:  # the doubled stem
        forms.append(_stem(0.2))
    return forms


def _stem(x: float) -> Stroke:
    """A vertical line from top to bottom."""
    return np.stack([np.full(_LINE_POINTS, x), np.linspace(0, 1, _LINE_POINTS)], axis=1)


def _bend(form: Stroke, corners: NDArray[np.float64]) -> Stroke:
    """Move the corners of the unit box, and what lies between in proportion."""
    x, y = form[:, :1], form[:, 1:]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    return np.asarray(form + top * (1 - y) + bottom * y)


def _placement(box: Box, writer: Writer, rng: np.random.Generator) -> Callable[[Stroke], Stroke]:
    """Maps the unit box to a symbol's place on the page, the same for all strokes of a symbol."""
    size = np.array([box.x1 - box.x0, box.y1 - box.y0])
    if box.kind in _SPREAD or (box.kind == "stretch" and size[0] > size[1]):
        size[0] *= writer.spread
    varied = size * rng.normal(1.0, writer.sizing, size=2).clip(0.7, 1.4)
    shift = rng.normal(0.0, writer.stray * box.scale, size=2)
    middle = np.array([(box.x0 + box.x1) * writer.spread, box.y0 + box.y1]) / 2 + shift
    # Long strokes turn less: a fraction bar stays between its parts.
    angle = rng.normal(0.0, writer.turning) * min(1.0, 0.6 / max(float(size.max()), 0.1))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return lambda points: np.asarray(((points - 0.5) * varied) @ turn + middle)
