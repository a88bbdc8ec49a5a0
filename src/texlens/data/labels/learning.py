"""Learning how the old Ghostscript drew each glyph, from pictures whose formula is known.

A glyph's residuals (drawn minus real) are cut out of many pictures. Their median, apart for the
four ways in which 200-dpi pixels fall into pixels of the picture, shows what is wrong with its
bitmap; pixels are flipped one by one while that explains the residuals better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import signal

from texlens.data.labels.drawing import EDGE, Grey, Placed, Sheet, crop, in_levels, place
from texlens.data.labels.glyphs import Bitmap, GlyphTable, Mask
from texlens.data.labels.pages import FormulaPage
from texlens.latex import tokenize
from texlens.render.dvi import Glyph

FEWEST: Final = 3  # pictures that must show a glyph before its bitmap is learnt
_MOST: Final = 40  # windows of one parity that are kept
_AROUND: Final = 3  # pixels of the picture around a glyph that its ink can reach
_GROWTH: Final = 2  # pixels at 200 dpi by which a bitmap may grow on each side
_FLIPPED: Final = 0.3  # of a bitmap's ink, at most: what differs more is another glyph
_TRIED: Final = 4  # flips, by their promise, before none is found to help

_Parity = tuple[int, int]
_Window = npt.NDArray[np.float32]
_Median = tuple[_Parity, npt.NDArray[np.float64], int]


GlyphKind = tuple[str, int, str]
"""What decides a glyph: the token, in how many scripts it is (at most 2), the font command around."""

_FONTS: Final = frozenset(
    {"\\mathbf", "\\mathrm", "\\mathcal", "\\mathsf", "\\mathit", "\\mathtt", "\\boldsymbol"}
)


def glyph_kinds(latex: str) -> set[GlyphKind]:
    """The kinds of glyphs that a formula shows, about."""
    kinds: set[GlyphKind] = set()
    groups: list[tuple[int, str]] = []
    level, font = 0, ""
    script, next_font = 0, ""
    for token in tokenize(latex):
        if token in ("^", "_"):
            script = 1
            continue
        if token in _FONTS:
            next_font = token
            continue
        if token == "{":
            groups.append((level, font))
            level, font = level + script, next_font or font
        elif token == "}":
            level, font = groups.pop() if groups else (0, "")
        else:
            kinds.add((token, min(level + script, 2), next_font or font))
        script, next_font = 0, ""
    return kinds


def learn(
    known: Iterable[tuple[Grey, FormulaPage]], glyphs: GlyphTable, limit: float = 0.25
) -> int:
    """Learn bitmaps from pictures and the pages that they show; returns how many changed.

    Pages that do not fit are left out: where the sizes differ, or the sum of differences is more
    than `limit` of the ink.
    """
    windows: dict[Glyph, dict[_Parity, list[_Window]]] = defaultdict(lambda: defaultdict(list))
    for picture, page in known:
        _collect(picture, page, glyphs, windows, limit)
    changed = 0
    for glyph, by_parity in windows.items():
        if sum(map(len, by_parity.values())) >= FEWEST:
            old = glyphs[glyph]
            new = _improved(old, by_parity)
            if new is not None:
                glyphs.learnt[glyph] = new
                changed += 1
    return changed


def _collect(
    picture: Grey,
    page: FormulaPage,
    glyphs: GlyphTable,
    windows: dict[Glyph, dict[_Parity, list[_Window]]],
    limit: float,
) -> None:
    placed = place(page, glyphs)
    if not placed:
        return
    sheet = Sheet.of(placed)
    halved = sheet.halved()
    part = crop(halved)
    if part is None or in_levels(halved[part]).shape != picture.shape:
        return
    error = np.zeros(halved.shape, np.float32)
    error[part] = halved[part].astype(np.float32) - picture
    if np.abs(error).sum() > limit * (255.0 - picture).sum():
        return
    for piece in placed:
        if piece.glyph is not None and piece.row + piece.ink.shape[0] <= 0:
            parity, area = _area(piece, sheet)
            kept = windows[piece.glyph][parity]
            window = error[area]
            if len(kept) < _MOST and window.shape == _shape(piece.ink):
                kept.append(window)


def _shape(ink: Mask) -> tuple[int, int]:
    height, width = ink.shape
    return (height + 1) // 2 + 2 * _AROUND + 1, (width + 1) // 2 + 2 * _AROUND + 1


def _area(piece: Placed, sheet: Sheet) -> tuple[_Parity, tuple[slice, slice]]:
    """A piece's parity, and its window in the halved sheet."""
    row, column = piece.row - sheet.top + 2 * EDGE, piece.column - sheet.left + 2 * EDGE
    height, width = _shape(piece.ink)
    first, left = row // 2 - _AROUND, column // 2 - _AROUND
    return (row % 2, column % 2), (slice(first, first + height), slice(left, left + width))


def _improved(old: Bitmap, by_parity: dict[_Parity, list[_Window]]) -> Bitmap | None:
    """A bitmap that explains the residuals better, or None."""
    shape = _shape(old.ink)
    ink = np.pad(old.ink, _GROWTH)
    wanted: list[_Median] = [
        (parity, _halved(ink, parity, shape) - np.median(windows, axis=0), len(windows))
        for parity, windows in by_parity.items()
    ]
    error = _error(ink, wanted)
    flips = 0
    while flips < max(2, _FLIPPED * old.ink.sum()):
        promise = _promise(ink, wanted)
        for pixel in np.argsort(promise, axis=None)[:_TRIED]:
            if promise.flat[pixel] >= 0:
                return _trimmed(ink, old) if flips else None
            ink.flat[pixel] ^= True
            after = _error(ink, wanted)
            if after < error:
                error = after
                flips += 1
                break
            ink.flat[pixel] ^= True
        else:
            return _trimmed(ink, old) if flips else None
    return None


def _trimmed(ink: Mask, old: Bitmap) -> Bitmap | None:
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return None
    return Bitmap(
        old.top - _GROWTH + int(rows[0]),
        old.left - _GROWTH + int(columns[0]),
        ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy(),
    )


def _halved(ink: Mask, parity: _Parity, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """A grown bitmap alone on white, halved: its window of this shape."""
    black = np.full((2 * shape[0] + 2 * EDGE, 2 * shape[1] + 2 * EDGE), 255, np.uint8)
    row, column = (EDGE + 2 * _AROUND - _GROWTH + side for side in parity)
    black[row : row + ink.shape[0], column : column + ink.shape[1]][ink] = 0
    size = (black.shape[1] // 2, black.shape[0] // 2)
    small = np.asarray(Image.fromarray(black).resize(size, Image.Resampling.LANCZOS))
    around = EDGE // 2
    return small[around:-around, around:-around].astype(np.float64)


def _error(ink: Mask, wanted: list[_Median]) -> float:
    return sum(
        count * float(np.square(_halved(ink, parity, window.shape) - window).sum())
        for parity, window, count in wanted
    )


def _promise(ink: Mask, wanted: list[_Median]) -> npt.NDArray[np.float64]:
    """By how much flipping each pixel would change the error, were halving linear."""
    gradient = np.zeros(ink.shape)
    for parity, window, count in wanted:
        error = _halved(ink, parity, window.shape) - window
        padded = np.pad(error, 8)
        full = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
        for y in (0, 1):
            for x in (0, 1):
                full[y::2, x::2] = signal.correlate2d(padded, _KERNELS[y, x], "same")
        row, column = (16 + 2 * _AROUND - _GROWTH + side for side in parity)
        gradient += count * full[row : row + ink.shape[0], column : column + ink.shape[1]]
    energy = float(np.square(_KERNELS[0, 0]).sum()) * sum(count for *_, count in wanted)
    return energy + np.where(ink, 2 * gradient, -2 * gradient)


def _kernel(y: int, x: int) -> npt.NDArray[np.float32]:
    """What one black pixel at 200 dpi takes from the pixels of the picture around it."""
    one = np.zeros((26, 26), np.float32)
    one[12 + y, 12 + x] = 255.0
    return np.asarray(Image.fromarray(one).resize((13, 13), Image.Resampling.LANCZOS))


_KERNELS: Final = {(y, x): _kernel(y, x) for y in (0, 1) for x in (0, 1)}
