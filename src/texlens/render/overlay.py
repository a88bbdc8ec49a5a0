"""Boxes drawn over the picture of their formula: to check the engine, and to explain a score."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from texlens.engine import Box, Drawing, Failure, get_engine
from texlens.latex import formula_of
from texlens.render.picture import Size, png_many

_KIND_COLORS = {
    "glyph": "#0a0",
    "rule": "#c00",
    "radical": "#c0c",
    "stretch": "#06c",
    "line": "#e80",
}


def overlay(
    formulas: Sequence[str],
    color: Callable[[int, Box], str] | None = None,
    em_px: float = 40.0,
    margin_px: int = 6,
) -> list[Image.Image | Failure]:
    """Pictures (RGB) of formulas with the box of every piece of ink drawn around it.

    `color` gives the colour of a box from its number and itself; the default is one a kind.
    """
    drawings = get_engine().draw([formula_of(formula) for formula in formulas])
    pictures = png_many(formulas, Size(em_px=em_px, margin_px=margin_px))
    results: list[Image.Image | Failure] = []
    for drawing, picture in zip(drawings, pictures, strict=True):
        if isinstance(drawing, Failure):
            results.append(drawing)
        elif isinstance(picture, Failure):
            results.append(picture)
        else:
            image = Image.open(io.BytesIO(picture)).convert("RGB")
            results.append(_with_boxes(image, drawing, color, em_px, margin_px))
    return results


def _with_boxes(
    image: Image.Image,
    drawing: Drawing,
    color: Callable[[int, Box], str] | None,
    em_px: float,
    margin_px: int,
) -> Image.Image:
    pen = ImageDraw.Draw(image)
    for number, box in enumerate(drawing.boxes):
        left, right = (x * em_px + margin_px for x in (box.x0, box.x1))
        top, bottom = ((y + drawing.height) * em_px + margin_px for y in (box.y0, box.y1))
        outline = color(number, box) if color else _KIND_COLORS[box.kind]
        pen.rectangle((left - 1, top - 1, right, bottom), outline=outline)
    return image
