"""A contact sheet: many formulas in one picture, numbered, failures shown as such."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from texlens.engine import Failure
from texlens.render.picture import DEFAULT_SIZE, Size, png_many

_WIDTH_PX = 1200
_GAP_PX = 10
_CAPTION_PX = 14


def contact_sheet(
    formulas: Sequence[str], size: Size = DEFAULT_SIZE
) -> tuple[Image.Image, list[tuple[int, str]]]:
    """Formulas in rows (RGB, 1200 pixels wide), each with its number and the start of its LaTeX.

    Also returns the number and the reason of each formula that could not be rendered.
    """
    pictures = png_many(formulas, size)
    failures = [
        (number, picture.message)
        for number, picture in enumerate(pictures, 1)
        if isinstance(picture, Failure)
    ]
    placed: list[tuple[Image.Image, int, int]] = []
    x = y = _GAP_PX
    row_height = 0
    for number, (formula, picture) in enumerate(zip(formulas, pictures, strict=True), 1):
        cell = _cell(number, formula, picture)
        if x > _GAP_PX and x + cell.width + _GAP_PX > _WIDTH_PX:
            x, y, row_height = _GAP_PX, y + row_height + _GAP_PX, 0
        placed.append((cell, x, y))
        x += cell.width + _GAP_PX
        row_height = max(row_height, cell.height)
    sheet = Image.new("RGB", (_WIDTH_PX, y + row_height + _GAP_PX), "#e4e4e4")
    for cell, left, top in placed:
        sheet.paste(cell, (left, top))
    return sheet, failures


def _cell(number: int, formula: str, picture: bytes | Failure) -> Image.Image:
    ground = "white"
    if isinstance(picture, Failure):
        ground = "#fdd"
        image = Image.new("RGB", (260, 20), ground)
        ImageDraw.Draw(image).text((4, 4), _ascii(picture.message, 40), fill="#a00")
    else:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        image.thumbnail((_WIDTH_PX - 2 * _GAP_PX, 10_000))
    room = max(image.width, 120)
    cell = Image.new("RGB", (room, image.height + _CAPTION_PX), ground)
    cell.paste(image, (0, 0))
    caption = _ascii(f"{number}  {formula}", room // 6)
    ImageDraw.Draw(cell).text((2, image.height + 1), caption, fill="#06c")
    return cell


def _ascii(text: str, characters: int) -> str:
    """The text in the characters of the built-in bitmap font."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:characters]
