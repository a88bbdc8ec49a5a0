"""Pictures as the bytes of a PNG file, and as addresses inside a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def encode_png(picture: Image, *, optimize: bool = False) -> bytes:
    """The picture as a PNG file; `optimize` takes longer and makes it smaller."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def data_address(picture: bytes) -> str:
    """A PNG, JPEG or SVG file as an address that holds it."""
    if picture.startswith(b"\x89PNG"):
        kind = "png"
    elif picture.startswith(b"\xff\xd8"):
        kind = "jpeg"
    else:
        kind = "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
