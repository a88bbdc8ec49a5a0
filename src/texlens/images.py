"""Pictures: on paper, without margins, as PNG files, as data addresses in a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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
_INK_CONTRAST = 32  # a pixel that is darker than white by more than this is ink
# Pictures whose every pixel is nearly as light as the white they were laid on hold white ink.
_WHITE_ENOUGH = 224


def encode_png(picture: Image, **options: int) -> bytes:
    """The picture as a PNG file. `options` are Pillow's: `optimize=True`, `compress_level=1`."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def on_paper(picture: Image, paper: str = "white") -> Image:
    """The picture in RGB with `paper` under its transparent parts; an opaque one as it is."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    layered = picture.convert("RGBA")
    ground = Image.new("RGBA", layered.size, paper)
    return Image.alpha_composite(ground, layered).convert("RGB")


def dark_on_white(picture: Image) -> Image:
    """A picture with transparent parts as an opaque one (RGB), dark on white; others as they are."""
    import numpy as np
    from PIL import ImageOps

    if not picture.has_transparency_data:
        return picture
    layered = picture.convert("RGBA")
    alpha = np.asarray(layered.getchannel("A"))
    if alpha.min() == 255:
        return picture
    visible = alpha >= 128
    light = visible.any() and np.asarray(layered.convert("L"))[visible].min() > _WHITE_ENOUGH
    if light and not visible.all():  # white ink, which would be lost on white
        return ImageOps.invert(on_paper(layered, "black"))
    return on_paper(layered)


def ink_box(ink: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The rows and columns of a mask (height, width) from its first to its last pixel."""
    import numpy as np

    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def crop_to_ink(grey: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A picture (height, width) of dark ink on white without its margins; None if it is blank."""
    box = ink_box(grey < 255 - _INK_CONTRAST)
    return None if box is None else grey[box]


def data_address(picture: bytes) -> str:
    """The file of a picture as an address that contains it; an SVG if no signature matches."""
    kind = next((kind for sign, kind in _SIGNATURES if picture.startswith(sign)), "svg+xml")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
