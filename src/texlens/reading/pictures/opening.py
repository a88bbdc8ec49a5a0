"""Opening a picture of any kind: checked by its header, then upright, in RGB, on white.

Nothing is decoded before the size in the header is checked, so a small file cannot take more memory
than `MAX_PIXELS` need. Only formats of pictures are tried; SVG and PDF are no input.
"""

from __future__ import annotations

import io
import math
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from texlens.errors import InputError
from texlens.images import dark_on_white, encode_png

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"})

MAX_PIXELS = 50_000_000
# Pillow holds up to three copies of a TIFF while it decodes, and four of a WebP.
MAX_PIXELS_BY_FORMAT = {"TIFF": 25_000_000, "WEBP": 16_000_000}
MAX_SIDE_PX = 65_535
MAX_FILE_BYTES = 256 * 2**20
KEPT_PIXELS = (
    4_000_000  # what is larger is shrunk as soon as it is decoded: framing takes 40 bytes a pixel
)
_BAND_PIXELS = 2**20

# How a picture is turned upright, by the orientation in its Exif data (Exif 2.32, tag 0x0112).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_picture(source: Path | bytes) -> Image.Image:
    """The first frame of a picture as an upright RGB image; transparent parts become white.

    A picture of more than `KEPT_PIXELS` is shrunk by a whole number to no more than that. White ink on
    nothing becomes black ink on white.

    Raises InputError, naming what is wrong: no such file, not a picture, too large, cut short.
    """
    name = f"'{source}'" if isinstance(source, Path) else "The picture"
    content = _read(source) if isinstance(source, Path) else source
    if not content:
        raise InputError(f"{name} is empty (0 bytes).")
    try:
        with warnings.catch_warnings():
            # Of large pictures (MAX_PIXELS is our limit) and of oddities that do not matter here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image, name)
                smaller = _shrinking(image.width, image.height)
                if smaller > 1:  # a JPEG can be decoded at half its size, or less
                    image.draft(None, (image.width // smaller, image.height // smaller))
                image.load()  # a TIFF turns itself upright here, and then has no orientation
                turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
                small = _within_limits(image)
                upright = small if turn is None else small.transpose(turn)
                return _on_white(upright)
    except (UnidentifiedImageError, SyntaxError) as error:
        raise InputError(
            f"{name} is not a picture that TexLens reads (PNG, JPEG, WebP, TIFF, BMP or GIF)."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has more pixels than the {MAX_PIXELS:,} allowed.") from error
    except InputError:
        raise
    except Exception as error:  # a decoder may raise anything over a damaged or hostile file
        raise InputError(f"{name} is damaged or cut short: {_reason(error)}.") from error


def near_size(image: Image.Image, max_pixels: int) -> Image.Image:
    """The picture, shrunk by a whole number if it is far larger than a model will take.

    What is left has at least four times `max_pixels`: the model's own resampling does the rest.
    """
    smaller = math.isqrt(image.width * image.height // (4 * max_pixels))
    return image.reduce(smaller) if smaller > 1 else image


def as_png(image: Image.Image, *, max_side: int) -> bytes:
    """The picture as a PNG file, shrunk where a side is longer than `max_side` pixels."""
    small = image.copy()
    small.thumbnail((max_side, max_side))
    return encode_png(small, optimize=True)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"'{path}' is not a file.")
        if status.st_size > MAX_FILE_BYTES:
            raise InputError(f"'{path}' is larger than {MAX_FILE_BYTES >> 20} MiB.")
        return path.read_bytes()
    except FileNotFoundError as error:
        what = "points to a file that is not there" if path.is_symlink() else "does not exist"
        raise InputError(f"'{path}' {what}.") from error
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from error


def _check_size(image: Image.Image, name: str) -> None:
    if max(image.size) > MAX_SIDE_PX:
        raise InputError(
            f"{name} has a side of {max(image.size):,} pixels, more than the {MAX_SIDE_PX:,} allowed."
        )
    most = MAX_PIXELS_BY_FORMAT.get(image.format or "", MAX_PIXELS)
    if image.width * image.height > most:
        raise InputError(
            f"{name} is {image.width:,} x {image.height:,} pixels, more than the {most:,} allowed: "
            "crop it to the formula."
        )


def _shrinking(width: int, height: int) -> int:
    """By which whole number the sides of a picture are divided."""
    return math.ceil(math.sqrt(width * height / KEPT_PIXELS))


def _within_limits(image: Image.Image) -> Image.Image:
    """The picture, shrunk where it is too large: here, since every later step makes a copy.

    It is shrunk in bands of rows, since Pillow first converts what it is to reduce.
    """
    smaller = _shrinking(image.width, image.height)
    if smaller <= 1:
        return image
    bands = []
    rows = smaller * max(1, _BAND_PIXELS // (image.width * smaller))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        bands.append(_shrunk(band, smaller))
    small = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        small.paste(band, (0, top))
        top += band.height
    return small


def _shrunk(band: Image.Image, smaller: int) -> Image.Image:
    if band.mode.startswith("I;16"):  # which Pillow cannot reduce; mode I keeps the values
        band = band.convert("I")
    if band.mode in ("P", "PA", "1"):
        transparent = band.mode == "PA" or "transparency" in band.info
        band = band.convert("RGBA" if transparent else "RGB")
    return band.reduce(smaller)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image).convert("RGB")
    return dark_on_white(image).convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, brought to 8 bits.

    16-bit pictures use the whole range, so their values keep their meaning; the range of the other
    two is unknown and is stretched from the least value to the greatest.
    """
    values = np.asarray(image).astype(np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0 if high > 255 else 255.0
    scaled = np.nan_to_num((values - low) / max(high - low, 1e-12), nan=1.0, posinf=1.0, neginf=0.0)
    return Image.fromarray(np.rint(scaled * 255).clip(0, 255).astype(np.uint8))


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def picture_for_browsers(content: bytes) -> bytes | None:
    """A picture that a browser can show, at most 1200 pixels wide; None for a broken one."""
    try:
        return as_png(open_picture(content), max_side=1200)
    except InputError:
        return None
