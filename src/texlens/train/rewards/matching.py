"""How well a drawn formula matches the ink of a picture, whatever moved a little between the two.

The drawing is taken apart into its connected pieces (about one a glyph), and each piece is looked for in
the picture near its place: to the right of it, everything may be shifted by what was found there. What
the moved pieces leave over, in either direction, is the mismatch. It survives small differences of
spacing, weight and antialiasing. What a wrong answer shows is a place where much is left over.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Ink = npt.NDArray[np.float32]
"""0 (ground) to 1 (the darkest), (height, width)."""

FEATURES = (
    "worst", "worst_2", "worst_3", "left_over", "unexplained", "missing", "jump", "drift",
    "worst_piece", "worst_pieces", "mean_piece", "height", "width", "pieces", "uneven",
)  # fmt: skip

MOST_PIECES = 700
MOST_PIXELS = (2000, 6000)  # height and width of a picture, after it was scaled
FAINTEST = 0.22
_PIECE = 0.35  # ink of a drawing that belongs to a piece
_EM = 28.0  # pixels an em to which the lengths below belong
_REACH = 6  # pixels that a piece is looked for around its place
_WINDOW = 10  # pixels: the side of the square over which what is left over is summed
_BLUR_SEEN, _BLUR_DRAWN = 0.6, 1.1  # pixels; chosen on rows of im2latex_train that are not dev
_GAIN = (0.7, 1.4)  # the strokes of the drawing may be so much lighter or darker
_FAR = (0.003, 0.005)  # cost of a pixel squared, across and down, away from the expected place
_FOUND = 0.35  # mismatch of a piece, below which its shift holds for what follows
_REMEMBERED = 3  # shifts, of which the median is expected next
_SMALLEST = 3  # pixels of a piece
_HALO = 4  # pixels around a piece that are compared too
_MARGIN = 60


def cropped(ink: Ink) -> Ink | None:
    """The part of a picture that has ink; None where there is none."""
    rows = np.flatnonzero((ink > FAINTEST).any(1))
    columns = np.flatnonzero((ink > FAINTEST).any(0))
    if not len(rows):
        return None
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scaled(ink: Ink, factor: float) -> Ink:
    """A picture at another size."""
    size = tuple(max(1, round(side * factor)) for side in ink.shape[::-1])
    how = cv2.INTER_CUBIC if factor >= 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(ink, size, interpolation=how).clip(0, 1), dtype=np.float32)


def features(seen: Ink, drawn: Ink, em: float) -> list[float] | None:
    """What is known about the mismatch of a picture and a drawing, in the order of `FEATURES`.

    Args:
        seen, drawn: cropped to their ink, at one scale.
        em: that scale, in pixels an em.

    Returns:
        None where there is nothing to match, or too much.
    """
    if any(
        side > most
        for ink in (seen, drawn)
        for side, most in zip(ink.shape, MOST_PIXELS, strict=True)
    ):
        return None
    labels: npt.NDArray[Any]
    boxes: npt.NDArray[Any]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        (_padded(drawn, 8) > _PIECE).astype(np.uint8), connectivity=8
    )
    if not 1 < count <= MOST_PIECES:
        return None
    unit = em / _EM
    reach = round(_REACH * unit)
    around = 3 * reach + _MARGIN
    gain = float(np.clip(seen.sum() / max(float(drawn.sum()), 1e-6), *_GAIN))
    page = _blurred(_padded(seen, around), _BLUR_SEEN * unit)
    ink = _blurred(_padded(drawn, 8), _BLUR_DRAWN * unit) * gain
    down = _vertical_place(page, ink, around - 8, seen.shape[0] - drawn.shape[0], reach)
    if down is None:
        return None
    placed = np.zeros_like(page)
    shift = 0
    recent: deque[int] = deque(maxlen=_REMEMBERED)
    shifts, heights, mismatches = [0], [0], []
    for piece in sorted(range(1, count), key=lambda n: boxes[n, 0] + boxes[n, 2] / 2):
        x, y, width, height, area = (int(value) for value in boxes[piece])
        if area < _SMALLEST:
            continue
        rows = slice(max(y - _HALO, 0), y + height + _HALO)
        columns = slice(max(x - _HALO, 0), x + width + _HALO)
        mask: npt.NDArray[Any] = cv2.dilate(
            (labels[rows, columns] == piece).astype(np.uint8), np.ones((5, 5))
        )
        template = np.asarray(ink[rows, columns] * mask, dtype=np.float32)
        corner = (down + rows.start, around - 8 + columns.start + shift)
        found = _find(page, template, mask, corner, reach, unit)
        if found is None:
            mismatches.append(2.0)
            continue
        mismatch, moved_down, moved_across = found
        top, left = corner[0] + moved_down, corner[1] + moved_across
        area_of_page = placed[top : top + template.shape[0], left : left + template.shape[1]]
        np.maximum(area_of_page, template, out=area_of_page)
        mismatches.append(mismatch)
        heights.append(moved_down)
        shifts.append(shift + moved_across)
        if mismatch < _FOUND:
            recent.append(shift + moved_across)
            shift = int(np.median(recent))
    return _summary(page - placed, page, shifts[1:], heights[1:], mismatches, unit, [
        abs(seen.shape[0] - drawn.shape[0]) / unit, abs(seen.shape[1] - drawn.shape[1]) / unit,
        float(count),
    ])  # fmt: skip


def _padded(ink: Ink, width: int) -> Ink:
    return np.pad(ink, width)


def _blurred(ink: Ink, width: float) -> Ink:
    return np.asarray(cv2.GaussianBlur(ink, (0, 0), width), dtype=np.float32)


def _vertical_place(page: Ink, ink: Ink, start: int, missing: int, reach: int) -> int | None:
    """The row of the page where the drawing's rows of ink fit best."""
    seen, drawn = page.sum(1), ink.sum(1)
    best: tuple[float, int] | None = None
    for row in range(start + min(0, missing) - reach, start + max(0, missing) + reach + 1):
        if 0 <= row <= len(seen) - len(drawn):
            fit = float((seen[row : row + len(drawn)] * drawn).sum())
            if best is None or fit > best[0]:
                best = fit, row
    return None if best is None else best[1]


def _find(
    page: Ink,
    template: Ink,
    mask: npt.NDArray[np.uint8],
    corner: tuple[int, int],
    reach: int,
    unit: float,
) -> tuple[float, int, int] | None:
    """The mismatch of a piece where it fits best, and how far down and across it moved there."""
    across, down = reach, max(2, reach // 2 + 1)
    top, left = corner[0] - down, corner[1] - across
    bottom, right = corner[0] + template.shape[0] + down, corner[1] + template.shape[1] + across
    if top < 0 or left < 0 or bottom > page.shape[0] or right > page.shape[1]:
        return None
    difference: npt.NDArray[Any] = cv2.matchTemplate(
        page[top:bottom, left:right], template, cv2.TM_SQDIFF, mask=mask.astype(np.float32)
    )
    difference = difference / (float((template * template).sum()) + 1e-6)
    rows, columns = np.mgrid[-down : down + 1, -across : across + 1]
    cost = difference + (_FAR[0] * columns**2 + _FAR[1] * rows**2) / unit**2
    row, column = np.unravel_index(int(cost.argmin()), cost.shape)
    return float(difference[row, column]), int(row) - down, int(column) - across


def _summary(
    rest: Ink,
    page: Ink,
    shifts: list[int],
    heights: list[int],
    mismatches: list[float],
    unit: float,
    sizes: list[float],
) -> list[float]:
    window = max(3, round(_WINDOW * unit))

    def sums(values: Ink) -> Ink:
        summed = cv2.boxFilter(values, -1, (window, window), normalize=False)
        return np.asarray(summed / (4 * unit * unit))

    worst: list[float] = []
    differences = sums(np.abs(rest))
    for _ in range(3):
        row, column = np.unravel_index(int(differences.argmax()), differences.shape)
        worst.append(float(differences[row, column]))
        differences[
            max(0, row - window) : row + window + 1, max(0, column - window) : column + window + 1
        ] = 0
    pieces = np.sort(mismatches)[::-1] if mismatches else np.array([2.0])
    jumps = np.abs(np.diff(shifts)) if len(shifts) > 1 else np.zeros(1)
    raw = [
        worst[0], float(np.mean(worst[:2])), float(np.mean(worst)),
        float(np.abs(rest).sum() / (page.sum() + 1e-6)),
        float(sums(np.maximum(rest, 0)).max()), float(sums(np.maximum(-rest, 0)).max()),
        float(jumps.max()) / unit, abs(shifts[-1]) / unit if shifts else 0.0,
        float(pieces[0]), float(pieces[:2].mean()), float(pieces.mean()),
        *sizes, float(np.std(heights)) / unit if heights else 0.0,
    ]  # fmt: skip
    return [_SCALES[name](value) for name, value in zip(FEATURES, raw, strict=True)]


def _log(value: float) -> float:
    return math.log(max(value, 1e-3))


_SCALES = dict.fromkeys(FEATURES, _log) | dict.fromkeys(
    ("jump", "drift", "height", "width", "uneven"), math.log1p
)
