"""A folder of comparisons: each picture beside what was read in it, drawn anew."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
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


class Comparisons:
    """Writes one PNG a picture into a folder: the picture, and its reading drawn.

    Pass the pictures through `noting` on their way to the reader and its readings through `saving`:
    a reader gives one reading a picture, in order.

    Raises InputError when the folder holds something already, unless `force`.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"'{folder}' is a file, not a folder: give another.")
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"The folder '{folder}' is not empty: give another, or --force.")
        self._folder = folder
        self._waiting: deque[Item] = deque()
        self._names: set[str] = set()

    def noting(self, pictures: Iterable[Item]) -> Iterator[Item]:
        """The pictures, each remembered until its reading comes."""
        for picture in pictures:
            self._waiting.append(picture)
            yield picture

    def saving(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """The readings, each once its file is written; none for a picture that cannot be opened."""
        for reading in readings:
            picture = self._waiting.popleft()
            if reading.error is None and picture.picture is not None:
                content = encode_png(compare_picture(picture.picture, reading.latex))
                write_bytes(self._folder / self._file_name(picture.name), content)
            yield reading

    def _file_name(self, name: str) -> str:
        path = Path(name)
        given = path.stem if path.suffix.lower() in SUFFIXES else name
        base = re.sub(r"[^\w.-]+", "_", given).strip("._")[-100:] or "picture"
        found, number = f"{base}.png", 1
        while found.lower() in self._names:  # some file systems know no case
            number += 1
            found = f"{base}-{number}.png"
        self._names.add(found.lower())
        return found


def compare_picture(picture: Path | bytes | Image.Image, latex: str) -> Image.Image:
    """A picture and the rendering of a formula, in one image.

    Raises InputError when the picture cannot be opened.
    """
    image = picture if isinstance(picture, Image.Image) else open_picture(picture)
    halves = [_fitted(image), _fitted(_drawn(latex))]
    stacked = halves[0].width > _WIDE * halves[0].height
    widths, heights = zip(*(half.size for half in halves), strict=True)
    if stacked:
        size = (max(widths), sum(heights) + _MARGIN_PX)
        second = (0, heights[0] + _MARGIN_PX)
    else:
        size = (sum(widths) + _MARGIN_PX, max(heights))
        second = (widths[0] + _MARGIN_PX, 0)
    sheet = Image.new("RGB", (size[0] + 2 * _MARGIN_PX, size[1] + 2 * _MARGIN_PX), _GROUND)
    sheet.paste(halves[0], (_MARGIN_PX, _MARGIN_PX))
    sheet.paste(halves[1], (_MARGIN_PX + second[0], _MARGIN_PX + second[1]))
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    small = image.convert("RGB")
    small.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX))
    return small


def _drawn(latex: str) -> Image.Image:
    """The formula, or a sentence where there is none to draw."""
    if not latex.strip():
        return _sentence("nothing was read")
    drawn = png(latex, Size(em_px=_EM_PX))
    if not isinstance(drawn, bytes):
        return _sentence(f"cannot be drawn: {drawn.message}")
    return Image.open(io.BytesIO(drawn))


def _sentence(text: str) -> Image.Image:
    font = ImageFont.load_default(size=16)
    shown = "".join(char if char.isprintable() else "?" for char in text[:100])
    width = int(font.getlength(shown)) + 16
    image = Image.new("RGB", (width, 36), "white")
    ImageDraw.Draw(image).text((8, 8), shown, font=font, fill="#a00000")
    return image
