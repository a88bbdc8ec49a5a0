"""Pictures as addresses: the kind is read off the file, whatever Pillow writes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from texlens.png import data_address, encode_png


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp", "tiff"])
def test_an_address_names_the_kind_of_its_file(kind: str) -> None:
    file = io.BytesIO()
    Image.new("L", (3, 2)).save(file, kind)
    assert data_address(file.getvalue()).startswith(f"data:image/{kind};base64,")


def test_other_files_are_drawings() -> None:
    assert data_address(b"<svg/>") == "data:image/svg+xml;base64,PHN2Zy8+"


def test_a_png_holds_its_picture() -> None:
    picture = Image.linear_gradient("L")
    for optimize in (False, True):
        with Image.open(io.BytesIO(encode_png(picture, optimize=optimize))) as opened:
            assert opened.tobytes() == picture.tobytes()
