from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from texlens.images import crop_to_ink, data_address, encode_png, on_paper


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


def test_crop_to_ink() -> None:
    page = np.full((20, 30), 255, np.uint8)
    assert crop_to_ink(page) is None
    page[5, 7] = page[8, 9] = 0
    cropped = crop_to_ink(page)
    assert cropped is not None
    assert cropped.shape == (4, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_parts_show_the_paper(mode: str) -> None:
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((0, 0), (9, 9, 9, 255))
    if mode == "P":
        picture = picture.convert("L").convert("P")
        picture.putdata([9, 0])
        picture.info["transparency"] = 0
    else:
        picture = picture.convert(mode)
    for paper in ("white", "black"):
        shown = on_paper(picture, paper).convert("RGB")
        assert shown.getpixel((1, 0)) == ((255,) * 3 if paper == "white" else (0,) * 3)


def test_an_opaque_picture_stays_as_it_is() -> None:
    picture = Image.new("L", (2, 2), 7)
    assert on_paper(picture) is picture
