"""Handwriting without writers: formulas laid out by MathJax, written with strokes of our own.

Every symbol's box comes from the engine and is filled with the strokes of `pen_strokes`, bent as a
hand bends them: each formula has a writer, who leans, drifts off the line and forms a letter the
same odd way each time, and each symbol strays a little on top of that. It is a stand-in for real
ink, and is labelled ``synthetic-hand`` wherever it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.ink import Stroke
from texlens.data.pictures.pen_strokes import glyph_strokes
from texlens.engine import Box, Drawing, Failure, get_engine

_UPRIGHT_FONTS = frozenset(["normal", "italic", "double-struck"])
_BLACKBOARD = "double-struck"
_LINE_POINTS = 12
_SPREAD = frozenset(["rule", "line"])  # what grows in width with the space between symbols


@dataclass(frozen=True, slots=True)
class Writer:
    """One hand.

    habit: how far a symbol's form is bent the same way each time, as a share of its box.
    stray: how far each single symbol is shifted, in em of its own size.
    sizing: spread of symbol sizes; turning: of their angles, in radians.
    drift: how far the line wanders up and down, in em.
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
        """A writer by chance, from neat to careless."""
        care = float(rng.uniform(0.3, 1.5))
        spread = float(rng.uniform(1.02, 1.3))
        return cls(0.07 * care, 0.035 * care, 0.07 * care, 0.05 * care, 0.12 * care, spread)


def handwrite(
    formulas: Sequence[str], rngs: Sequence[np.random.Generator]
) -> list[tuple[Stroke, ...] | str]:
    """Write each formula; its strokes for `ink.render_ink`, or the reason why it cannot be written.

    Args:
        formulas: LaTeX, drawn in display style.
        rngs: one for each formula: the writer and every movement; same state, same strokes.
    """
    drawings = get_engine().draw(formulas)
    return [
        drawing.message if isinstance(drawing, Failure) else write_drawing(drawing, rng)
        for drawing, rng in zip(drawings, rngs, strict=True)
    ]


def write_drawing(
    drawing: Drawing, rng: np.random.Generator, writer: Writer | None = None
) -> tuple[Stroke, ...] | str:
    """Strokes in em, y down, for a formula's boxes; or which symbol no stroke is known for."""
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
        place = _Placement(box, writer, rng)
        for form in forms:
            points = place(_bend(form, habits[box.char]))
            drift = writer.drift * np.sin(points[:, :1] / length * 2.0 * np.pi + phase)
            strokes.append(points + drift * np.array([[0.0, 1.0]]))
    return tuple(strokes) if strokes else "the formula has no ink"


def _forms(box: Box) -> Sequence[Stroke] | None:
    """The strokes of what stands in a box, in 0..1; None for a symbol that we cannot write."""
    if box.kind in ("rule", "line"):
        wide = box.x1 - box.x0 >= box.y1 - box.y0
        along = np.linspace(0.0, 1.0, _LINE_POINTS)
        across = np.full(_LINE_POINTS, 0.5)
        return [np.stack([along, across] if wide else [across, along], axis=1)]
    forms: list[Stroke] = []
    if box.font not in _UPRIGHT_FONTS or not box.char:
        return None
    for number, char in enumerate(box.char):
        strokes = glyph_strokes(char)
        if not strokes:
            return None
        left, share = np.array([number, 0.0]), np.array([len(box.char), 1.0])
        forms += [(stroke + left) / share for stroke in strokes]
    if box.font == _BLACKBOARD:  # the doubled stem
        forms.append(
            np.stack([np.full(_LINE_POINTS, 0.2), np.linspace(0, 1, _LINE_POINTS)], axis=1)
        )
    return forms


def _bend(form: Stroke, corners: NDArray[np.float64]) -> Stroke:
    """Move the corners of the unit box, and what lies between in proportion."""
    x, y = form[:, :1], form[:, 1:]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    return np.asarray(form + top * (1 - y) + bottom * y)


class _Placement:
    """Maps the unit box to a symbol's place on the page: all strokes of a symbol stray together."""

    def __init__(self, box: Box, writer: Writer, rng: np.random.Generator) -> None:
        size = np.array([box.x1 - box.x0, box.y1 - box.y0])
        if box.kind in _SPREAD or (box.kind == "stretch" and size[0] > size[1]):
            size[0] *= writer.spread
        self.size = size * rng.normal(1.0, writer.sizing, size=2).clip(0.7, 1.4)
        shift = rng.normal(0.0, writer.stray * box.scale, size=2)
        middle = np.array([(box.x0 + box.x1) * writer.spread, box.y0 + box.y1]) / 2
        self.middle = middle + shift
        # Long strokes turn less: a fraction bar stays between its parts.
        angle = rng.normal(0.0, writer.turning) * min(1.0, 0.6 / max(float(size.max()), 0.1))
        self.turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def __call__(self, points: Stroke) -> Stroke:
        return np.asarray(((points - 0.5) * self.size) @ self.turn + self.middle)
