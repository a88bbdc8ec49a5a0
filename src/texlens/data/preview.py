"""A contact sheet of a data set: pictures with their LaTeX."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image, ImageDraw

from texlens.data.formats import as_png
from texlens.records import Example

_CELL = (360, 130)  # px
_CAPTION_PX = 26
_CAPTION_CHARACTERS = 76


def contact_sheet(examples: Iterable[Example], columns: int = 4) -> Image.Image:
    """A grid (RGB) of pictures, shrunk to their cell where larger, their LaTeX beneath."""
    cells = [_cell(example) for example in examples]
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * _CELL[0], max(rows, 1) * _CELL[1]), "#d8d8d8")
    for n, cell in enumerate(cells):
        sheet.paste(cell, (n % columns * _CELL[0] + 2, n // columns * _CELL[1] + 2))
    return sheet


def _cell(example: Example) -> Image.Image:
    cell = Image.new("RGB", (_CELL[0] - 4, _CELL[1] - 4), "white")
    small = _picture(example.image)
    small.thumbnail((cell.width - 8, cell.height - _CAPTION_PX - 8))
    room = cell.height - _CAPTION_PX
    cell.paste(small, ((cell.width - small.width) // 2, (room - small.height) // 2))
    text = example.latex_formula.encode("ascii", "replace").decode()
    caption = "\n".join(
        text[start : start + _CAPTION_CHARACTERS]
        for start in range(0, 2 * _CAPTION_CHARACTERS, _CAPTION_CHARACTERS)
    )
    ImageDraw.Draw(cell).multiline_text((4, room), caption, fill="#06c", spacing=1)
    return cell


def _picture(content: bytes) -> Image.Image:
    """The picture (RGB), or a red field where it cannot be opened."""
    try:
        with Image.open(io.BytesIO(as_png(content))) as picture:
            return picture.convert("RGB")
    except Exception:  # a decoder fails in many ways on a broken file
        return Image.new("RGB", (40, 40), "#c33")
