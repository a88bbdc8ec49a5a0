"""Pictures as the bytes of a PNG file, and as addresses inside a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURES = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8", "jpeg"),
    (b"RIFF", "webp"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)


def encode_png(picture: Image, *, optimize: bool = False) -> bytes:
    """The picture as a PNG file; `optimize` takes longer and makes it smaller."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def data_address(picture: bytes) -> str:
    """A picture file as an address that holds it: of a kind in _SIGNATURES, else an SVG."""
    kind = next((kind for sign, kind in _SIGNATURES if picture.startswith(sign)), "svg+xml")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
