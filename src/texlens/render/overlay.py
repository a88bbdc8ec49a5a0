"""Glyph boxes over the picture of their formula, to check the engine."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from texlens.engine import Drawing, Failure, get_engine
from texlens.latex import formula_of
from texlens.render.picture import Size, png_many

_COLORS = {
    "glyph": "#0a0",
    "rule": "#c00",
    "radical": "#c0c",
    "stretch": "#06c",
    "line": "#e80",
}
_MARGIN_PX = 6


def overlay(formulas: Sequence[str], em_px: float = 40.0) -> list[Image.Image | Failure]:
    """Pictures (RGB) of formulas with a frame around every piece of ink, in a colour for each kind."""
    drawings = get_engine().draw([formula_of(formula) for formula in formulas])
    pictures = png_many(formulas, Size(em_px=em_px, margin_px=_MARGIN_PX))
    results: list[Image.Image | Failure] = []
    for drawing, picture in zip(drawings, pictures, strict=True):
        if isinstance(drawing, Failure):
            results.append(drawing)
        elif isinstance(picture, Failure):
            results.append(picture)
        else:
            image = Image.open(io.BytesIO(picture)).convert("RGB")
            _add_frames(image, drawing, em_px)
            results.append(image)
    return results


def _add_frames(image: Image.Image, drawing: Drawing, em_px: float) -> None:
    pen = ImageDraw.Draw(image)
    for box in drawing.boxes:
        left, right = (x * em_px + _MARGIN_PX for x in (box.x0, box.x1))
        top, bottom = ((y + drawing.height) * em_px + _MARGIN_PX for y in (box.y0, box.y1))
        pen.rectangle((left - 1, top - 1, right, bottom), outline=_COLORS[box.kind])
