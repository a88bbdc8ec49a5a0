"""Glyph boxes over the picture of their formula, to check the engine."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from texlens.engine import Drawing, Failure, get_engine
from texlens.engine.boxes import KINDS
from texlens.latex import formula_of
from texlens.render.picture import Size, png_many

_COLORS = dict(zip(KINDS, ("#0a0", "#c00", "#c0c", "#06c", "#e80"), strict=True))
_MARGIN_PX = 6


def overlay(formulas: Sequence[str], em_px: float = 40.0) -> list[Image.Image | Failure]:
    """Pictures (RGB) of formulas with a frame around every piece of ink, in a colour for each kind."""
    drawings = get_engine().draw([formula_of(formula) for formula in formulas])
    pictures = png_many(formulas, Size(em_px=em_px, margin_px=_MARGIN_PX))
    return [_framed(*both, em_px) for both in zip(drawings, pictures, strict=True)]


def _framed(
    drawing: Drawing | Failure, picture: bytes | Failure, em_px: float
) -> Image.Image | Failure:
    if isinstance(drawing, Failure):
        return drawing
    if isinstance(picture, Failure):
        return picture
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for box in drawing.boxes:
        left, right = (x * em_px + _MARGIN_PX for x in (box.x0, box.x1))
        top, bottom = ((y + drawing.height) * em_px + _MARGIN_PX for y in (box.y0, box.y1))
        pen.rectangle((left - 1, top - 1, right, bottom), outline=_COLORS[box.kind])
    return image
