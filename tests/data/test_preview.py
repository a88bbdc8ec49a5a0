"""The contact sheet: one cell an example, whatever its picture is."""

from __future__ import annotations

import io

import layouts
import numpy as np
from PIL import Image

from texlens.data.preview import contact_sheet
from texlens.records import Example


def cell(sheet: Image.Image, number: int, columns: int = 4) -> np.ndarray:
    width, height = sheet.width // columns, 130
    row, column = divmod(number, columns)
    box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    return np.asarray(sheet.crop(box))


def test_one_cell_an_example_in_rows() -> None:
    examples = [Example(str(n), layouts.picture(n), rf"x _ {{ {n} }}") for n in range(5)]
    sheet = contact_sheet(examples)
    assert sheet.size == (4 * 360, 2 * 130)
    for n in range(5):
        picture = cell(sheet, n)[:100]
        assert (picture.min(axis=2) < 60).any(), "the ink is in the cell"
        caption = cell(sheet, n)[100:]
        assert (caption[..., 2].astype(int) - caption[..., 0] > 100).any(), "the LaTeX is beneath"
    assert (cell(sheet, 5) == 0xD8).all()


def test_a_large_picture_shrinks_and_a_broken_one_is_marked() -> None:
    buffer = io.BytesIO()
    Image.new("L", (4000, 900), 0).save(buffer, "JPEG")
    transparent = io.BytesIO()
    Image.new("RGBA", (30, 20), (0, 0, 0, 0)).save(transparent, "WEBP", lossless=True)
    sheet = contact_sheet(
        [
            Example("large", buffer.getvalue(), "x" * 500),
            Example("broken", b"no picture", "é \n <b>"),
            Example("transparent", transparent.getvalue(), ""),
        ]
    )
    assert sheet.size == (4 * 360, 130)
    dark = (cell(sheet, 0)[:100].max(axis=2) < 30).mean()
    assert 0.5 < dark < 0.95
    assert (cell(sheet, 1) == (0xCC, 0x33, 0x33)).all(axis=2).sum() == 40 * 40
    assert (cell(sheet, 2)[4:100, 4:-4] == 255).all()


def test_no_example_is_an_empty_sheet() -> None:
    assert contact_sheet([]).size == (4 * 360, 130)
