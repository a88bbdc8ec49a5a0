"""A folder of comparisons: each picture beside its reading, rendered."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from texlens.errors import InputError
from texlens.images import encode_png
from texlens.reading.pictures.opening import SUFFIXES, open_picture
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.render import Size, png
from texlens.runs import write_bytes

_EM_PX = 32.0
_MAX_SIDE_PX = 900  # of either half
_MARGIN_PX = 12
_WIDE = 2.0  # pictures wider than so many heights stand above their rendering
_GROUND = "#d8d8d8"


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Raises InputError when the folder contains something, unless `force`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file, not a folder: give another.")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"The folder '{folder}' is not empty: give another, or --force.")


def save_comparisons(
    pictures: Iterable[Item], read_many: Callable[[Iterable[Item]], Iterable[Reading]], folder: Path
) -> Iterator[Reading]:
    """Read pictures, and write one PNG for each into a folder: the picture and its reading.

    The readings come in the order of the pictures, each after its file is written. A picture that
    cannot be opened has no file.
    """
    names: set[str] = set()
    to_read, to_show = tee(pictures)
    for reading, picture in zip(read_many(to_read), to_show, strict=True):
        if reading.error is None and picture.picture is not None:
            content = encode_png(compare_picture(picture.picture, reading.latex))
            write_bytes(folder / _new_name(picture.name, names), content)
        yield reading


def _new_name(picture: str, names: set[str]) -> str:
    """A file name for a picture that is none of `names` yet; added to them."""
    path = Path(picture)
    given = path.stem if path.suffix.lower() in SUFFIXES else picture
    base = re.sub(r"[^\w.-]+", "_", given).strip("._")[-100:] or "picture"
    found, number = f"{base}.png", 1
    while found.lower() in names:  # some file systems ignore the case
        number += 1
        found = f"{base}-{number}.png"
    names.add(found.lower())
    return found


def compare_picture(picture: Path | bytes | Image.Image, latex: str) -> Image.Image:
    """A picture and the rendering of a formula, in one image.

    Raises InputError when the picture cannot be opened.
    """
    image = picture if isinstance(picture, Image.Image) else open_picture(picture)
    first, second = _fitted(image), _fitted(_rendered(latex))
    left = top = _MARGIN_PX  # of the second
    if first.width > _WIDE * first.height:
        top += first.height + _MARGIN_PX
    else:
        left += first.width + _MARGIN_PX
    width = max(_MARGIN_PX + first.width, left + second.width) + _MARGIN_PX
    height = max(_MARGIN_PX + first.height, top + second.height) + _MARGIN_PX
    sheet = Image.new("RGB", (width, height), _GROUND)
    sheet.paste(first, (_MARGIN_PX, _MARGIN_PX))
    sheet.paste(second, (left, top))
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    small = image.convert("RGB")
    small.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX))
    return small


def _rendered(latex: str) -> Image.Image:
    """The formula, or a sentence where there is none to render."""
    if not latex.strip():
        return _sentence("nothing was read")
    rendered = png(latex, Size(em_px=_EM_PX))
    if not isinstance(rendered, bytes):
        return _sentence(f"cannot be rendered: {rendered.message}")
    return Image.open(io.BytesIO(rendered))


def _sentence(text: str) -> Image.Image:
    font = ImageFont.load_default(size=16)
    shown = "".join(char if char.isprintable() else "?" for char in text[:100])
    width = int(font.getlength(shown)) + 16
    image = Image.new("RGB", (width, 36), "white")
    ImageDraw.Draw(image).text((8, 8), shown, font=font, fill="#a00000")
    return image
