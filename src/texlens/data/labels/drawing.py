"""A page as the picture of im2latex that shows it, pixel for pixel, and what differs from a real one.

The pictures were made so: the page at 200 dpi, each glyph moved to whole pixels, black where there
is any ink; cropped; halved with Pillow's Lanczos filter; cropped again to what is darker than 250;
8 pixels of white around; 16 levels of grey. A correct formula therefore gives the same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from texlens.data.labels.glyphs import PIXELS_PER_SP, GlyphTable, Mask
from texlens.data.labels.pages import FormulaPage
from texlens.render.dvi import Glyph

Grey = npt.NDArray[np.uint8]

BORDER: Final = 8  # pixels of white around a picture
EDGE: Final = 12  # of white around the ink before it is halved, in pixels of the picture
LEVEL: Final = 17  # from one of the 16 levels of grey to the next
_FAINTEST: Final = 250  # what is not darker is cropped
_WINDOW: Final = 5
# Positions were rounded on their way through the PDF: a glyph this near to the middle between two
# pixels may stand in either.
_UNSURE: Final = 0.04
_MOST_UNSURE: Final = 24
# The same for a whole page: down and across, in pixels at 200 dpi.
_SHIFTS: Final = ((0.0, 0.0), (0.03, 0.0), (-0.03, 0.0), (0.0, 0.03), (0.0, -0.03))


@dataclass(slots=True)
class Placed:
    """Ink on the page at 200 dpi: its first row and column, and where else it may stand.

    `glyph` is None for a rule.
    """

    row: int
    column: int
    ink: Mask
    glyph: Glyph | None
    other_places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """How a drawn formula differs from a picture.

    Attributes:
        score: the largest sum of differences in a window of 5 x 5 pixels, in black pixels; a
            difference of one level does not count. Infinite where the sizes differ.
        pixels: how many pixels differ.
        where: (row, column) of the middle of that window, in pixels of the picture.
    """

    score: float
    pixels: int
    where: tuple[int, int] = (0, 0)


def place(
    page: FormulaPage, glyphs: GlyphTable, shift: tuple[float, float] = (0.0, 0.0)
) -> list[Placed]:
    """The ink of a page in pixels at 200 dpi; row 0 is the first below the page's lower edge.

    `shift` moves the whole page by parts of a pixel, down and across.
    """
    placed = []
    lower, left = shift
    for glyph, x, y in page.characters:
        bitmap = glyphs[glyph]
        if bitmap.ink.size:
            across = x * PIXELS_PER_SP + 0.5 + left
            down = (y - page.height) * PIXELS_PER_SP + 0.5 + lower
            row, column = math.floor(down), math.floor(across)
            others = tuple(
                (bitmap.top + r, bitmap.left + c)
                for r in (row, *_neighbour(down))
                for c in (column, *_neighbour(across))
                if (r, c) != (row, column)
            )
            placed.append(Placed(row + bitmap.top, column + bitmap.left, bitmap.ink, glyph, others))
    for x, y, width, height in page.rules:
        start = x * PIXELS_PER_SP + left
        bottom = (y - page.height) * PIXELS_PER_SP + lower
        row, column = math.floor(bottom - height * PIXELS_PER_SP), math.floor(start)
        end = math.floor(start + width * PIXELS_PER_SP)
        ink = np.ones((math.floor(bottom) - row + 1, end - column + 1), bool)
        placed.append(Placed(row, column, ink, None))
    return placed


def _neighbour(place: float) -> Iterator[int]:
    """The other pixel in which something at this place may stand."""
    below = math.floor(place)
    if place - below < _UNSURE:
        yield below - 1
    elif below + 1 - place < _UNSURE:
        yield below + 1


@dataclass(slots=True)
class Sheet:
    """The ink of a formula at 200 dpi, to be halved; `top` and `left` are its first row and column."""

    placed: list[Placed]
    top: int
    left: int
    black: npt.NDArray[np.uint8]  # how many pieces of ink cover a pixel
    _halved: Grey | None = None

    @classmethod
    def of(cls, placed: list[Placed]) -> Sheet:
        """All ink of a page above its lower edge."""
        top = min(piece.row for piece in placed)
        left = min(piece.column for piece in placed)
        right = max(piece.column + piece.ink.shape[1] for piece in placed)
        bottom = min(0, max(piece.row + piece.ink.shape[0] for piece in placed))
        height, width = max(bottom - top, 1), right - left
        shape = (height + height % 2 + 4 * EDGE, width + width % 2 + 4 * EDGE)
        sheet = cls(placed, top, left, np.zeros(shape, np.uint8))
        for piece in placed:
            sheet.put(piece, 1)
        return sheet

    def put(self, piece: Placed, times: int) -> None:
        """Lay a piece of ink on the sheet, or take it off (-1)."""
        self._halved = None
        row, column = piece.row - self.top + 2 * EDGE, piece.column - self.left + 2 * EDGE
        height, width = piece.ink.shape
        height = min(height, -piece.row)  # what hangs below the page is not seen
        if height > 0 and row >= 0 and column >= 0:
            area = self.black[row : row + height, column : column + width]
            ink = piece.ink[: area.shape[0], : area.shape[1]]
            if times > 0:
                area += ink
            else:
                area -= ink

    def halved(self) -> Grey:
        """The grey picture at half the size, before it is cropped."""
        if self._halved is not None:
            return self._halved
        black = np.where(self.black > 0, 0, 255).astype(np.uint8)
        height, width = black.shape
        small = Image.fromarray(black).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
        self._halved = np.asarray(small)
        return self._halved


def crop(halved: Grey) -> tuple[slice, slice] | None:
    """The part of a halved sheet that becomes the picture; None where it is blank."""
    ink = halved < _FAINTEST
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return None
    return (
        slice(int(rows[0]) - BORDER, int(rows[-1]) + 1 + BORDER),
        slice(int(columns[0]) - BORDER, int(columns[-1]) + 1 + BORDER),
    )


def in_levels(grey: Grey) -> Grey:
    """The picture in 16 levels of grey."""
    return ((grey.astype(np.int16) + LEVEL // 2) // LEVEL * LEVEL).astype(np.uint8)


def draw(page: FormulaPage, glyphs: GlyphTable) -> Grey | None:
    """The picture of a formula as im2latex-100k has it; None where nothing is to be seen."""
    placed = place(page, glyphs)
    if not placed:
        return None
    halved = Sheet.of(placed).halved()
    part = crop(halved)
    return None if part is None else in_levels(halved[part])


def compare(picture: Grey, page: FormulaPage, glyphs: GlyphTable, accept: float) -> Difference:
    """How the drawn formula differs from a picture in 16 levels.

    The page, and then glyphs that may stand in either of two pixels, are moved where the picture
    differs around them, until the score is below `accept`.
    """
    best: tuple[Difference, Sheet] | None = None
    for shift in _SHIFTS:
        placed = place(page, glyphs, shift)
        if not placed:
            return Difference(math.inf, picture.size)
        sheet = Sheet.of(placed)
        found = _difference(residual(picture, sheet.halved()), picture)
        if found.score < accept or _far_off(picture, sheet.halved()):
            return found
        if best is None or (found.score, found.pixels) < (best[0].score, best[0].pixels):
            best = found, sheet
    assert best is not None
    found, sheet = best
    unsure = [piece for piece in sheet.placed if piece.other_places]
    for piece in unsure if len(unsure) <= _MOST_UNSURE else []:
        if found.score < accept:
            break
        if _differs_around(piece, sheet, picture):
            found = _moved(piece, sheet, picture, found)
    return found


def residual(picture: Grey, halved: Grey) -> npt.NDArray[np.int16] | None:
    """Drawn minus real picture, in levels of 255; None where the sizes differ."""
    part = crop(halved)
    if part is None:
        return None
    drawn = in_levels(halved[part])
    return None if drawn.shape != picture.shape else drawn.astype(np.int16) - picture


def _far_off(picture: Grey, halved: Grey) -> bool:
    """Whether the sizes differ by more than moving one glyph can mend."""
    part = crop(halved)
    if part is None:
        return True
    sides = zip(part, picture.shape, strict=True)
    return any(abs(side.stop - side.start - length) > 1 for side, length in sides)


def _differs_around(piece: Placed, sheet: Sheet, picture: Grey) -> bool:
    halved = sheet.halved()
    error, part = residual(picture, halved), crop(halved)
    if error is None or part is None:
        return True
    row = (piece.row - sheet.top) // 2 + EDGE - part[0].start
    column = (piece.column - sheet.left) // 2 + EDGE - part[1].start
    height, width = piece.ink.shape
    around = error[
        max(0, row - 1) : row + height // 2 + 2, max(0, column - 1) : column + width // 2 + 2
    ]
    return bool((np.abs(around) > LEVEL).any())


def _difference(error: npt.NDArray[np.int16] | None, picture: Grey) -> Difference:
    if error is None:
        return Difference(math.inf, picture.size)
    size = np.abs(error)
    pixels = int((size > 0).sum())
    size[size <= LEVEL] = 0
    if not size.any():
        return Difference(0.0, pixels)
    sums = ndimage.uniform_filter(size.astype(np.float32), _WINDOW, mode="constant")
    place = int(sums.argmax())
    row, column = divmod(place, sums.shape[1])
    return Difference(round(float(sums.flat[place]) * _WINDOW**2 / 255, 3), pixels, (row, column))


def _moved(piece: Placed, sheet: Sheet, picture: Grey, best: Difference) -> Difference:
    """The difference after moving one piece where that helps; the sheet keeps the move."""
    home = (piece.row, piece.column)
    chosen = home
    for row, column in piece.other_places:
        sheet.put(piece, -1)
        piece.row, piece.column = row, column
        sheet.put(piece, 1)
        found = _difference(residual(picture, sheet.halved()), picture)
        if (found.score, found.pixels) < (best.score, best.pixels):
            best, chosen = found, (row, column)
    sheet.put(piece, -1)
    piece.row, piece.column = chosen
    sheet.put(piece, 1)
    return best
