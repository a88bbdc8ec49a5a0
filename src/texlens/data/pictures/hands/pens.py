"""Strokes as a grey picture: ballpoint, pencil, marker, whiteboard, tablet.

A hand has no pressure in the data, but a speed: CROHME's points come at about equal times, and a pen
that moves fast leaves a thinner line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.ink import Grey, Stroke

_SUPERSAMPLING: Final = 2
_VARYING: Final = 8  # points: a shorter stroke has one width
_SMOOTHING: Final = np.full(5, 0.2)  # of the speed
_FRACTION_BITS: Final = 4
_MARGIN_PX: Final = 4
MAX_HEIGHT_PX: Final = 420
MAX_WIDTH_PX: Final = 900


@dataclass(frozen=True, slots=True)
class Pen:
    """What a pen leaves on paper.

    width: of the line, in pixels at 28 pixels per em. speed: how much a fast stroke is thinner (0
    not at all). tone: how dark it is, 1 black. grain: how uneven.
    """

    name: str
    width: tuple[float, float]
    speed: float
    tone: tuple[float, float]
    grain: float


PENS: Final = (
    Pen("tablet", (0.6, 2.0), 0.0, (1.0, 1.0), 0.0),
    Pen("ballpoint", (0.7, 1.6), 0.35, (0.7, 1.0), 0.1),
    Pen("pencil", (0.8, 1.9), 0.3, (0.4, 0.75), 0.4),
    Pen("marker", (1.6, 2.8), 0.25, (0.85, 1.0), 0.05),
    Pen("whiteboard", (1.7, 3.0), 0.15, (0.6, 0.95), 0.2),
)
_SHARES: Final = (0.45, 0.25, 0.12, 0.1, 0.08)


def choose_pen(rng: np.random.Generator) -> Pen:
    """A pen at random; half are those of a tablet, as in all corpora of ink."""
    return PENS[int(rng.choice(len(PENS), p=_SHARES))]


def ink_on_white(
    strokes: Sequence[Stroke], pixels_per_em: float, pen: Pen, rng: np.random.Generator
) -> Grey:
    """A picture (height, width), 255 white, of strokes in em. It is made smaller where it is too large."""
    everything = np.concatenate(strokes)
    low = everything.min(axis=0)
    extent = np.maximum(everything.max(axis=0) - low, 0.01)
    room = np.array([MAX_WIDTH_PX, MAX_HEIGHT_PX]) - 2 * _MARGIN_PX
    pixels_per_em = min(pixels_per_em, float((room / extent).min()))
    scale = pixels_per_em * _SUPERSAMPLING
    margin = _MARGIN_PX * _SUPERSAMPLING
    size = np.ceil(extent * pixels_per_em).astype(int) * _SUPERSAMPLING + 2 * margin
    canvas = np.full((size[1], size[0]), 255, dtype=np.uint8)
    line = float(rng.uniform(*pen.width)) * _SUPERSAMPLING * max(pixels_per_em / 28.0, 0.6) ** 0.7
    passes = int(rng.integers(0, 3))
    # All strokes at once: a picture has dozens, and calls cost more than their arithmetic.
    lengths = [len(stroke) for stroke in strokes]
    points = (everything - low) * scale + margin
    if passes and len(points) > 2:
        inner = np.ones((len(points), 1), dtype=bool)  # the ends of a stroke stay where they are
        last = np.cumsum(lengths) - 1
        inner[last] = inner[last - lengths + 1] = False
        for _ in range(passes):
            smooth = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
            points[1:-1] = np.where(inner[1:-1], smooth, points[1:-1])
    fixed = np.round(points * (1 << _FRACTION_BITS)).astype(np.int32)
    pieces = _pieces(everything, lengths, line, pen.speed)
    for width, same in groupby(pieces, key=lambda piece: piece[2]):
        parts = [fixed[start:end] for start, end, _ in same]
        parts = [part if len(part) > 1 else np.repeat(part, 2, axis=0) for part in parts]
        cv2.polylines(canvas, parts, False, 0, width, cv2.LINE_AA, _FRACTION_BITS)
    small = (size[0] // _SUPERSAMPLING, size[1] // _SUPERSAMPLING)
    grey = np.asarray(cv2.resize(canvas, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    tone = float(rng.uniform(*pen.tone))
    if tone < 1.0 or pen.grain:
        dark = (255.0 - grey) * tone
        if pen.grain:
            dark *= 1 - pen.grain * rng.random(grey.shape, dtype=np.float32)
        grey = (255.0 - dark).astype(np.uint8)
    return grey


def _pieces(
    points: Stroke, lengths: Sequence[int], line: float, speed: float
) -> list[tuple[int, int, int]]:
    """Pieces of strokes of one width each: from which point to which, in pixels.

    Args:
        points: of all strokes, one after another.
        lengths: of the strokes, in points.
        line, speed: of the pen.
    """
    usual_width = max(1, round(line))
    whole = [
        (end - n, end, usual_width) for end, n in zip(accumulate(lengths), lengths, strict=True)
    ]
    varying = [n >= _VARYING for n in lengths] if speed else []
    if not any(varying):
        return whole
    steps = np.diff(points, axis=0)
    far = np.hypot(steps[:, 0], steps[:, 1])
    smooth, usual = [], []
    for (start, end, _), varies in zip(whole, varying, strict=True):
        if varies:
            some = np.convolve(far[start : end - 1], _SMOOTHING, mode="same")
            ordered = np.sort(some)
            middle = len(some) // 2
            median = (ordered[middle] + ordered[~middle]) / 2
            smooth.append(some)
            usual.append(max(float(median), 1e-9))
    counts = [len(some) for some in smooth]
    usually = np.repeat(usual, counts)
    factor = np.clip((np.concatenate(smooth) + 0.2 * usually) / (1.2 * usually), 0.3, 3.0)
    widths = np.maximum(1, np.round(line * factor**-speed)).astype(int)
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for (start, end, width), varies in zip(whole, varying, strict=True):
        if not varies:
            pieces.append((start, end, width))
            continue
        own = widths[at : at + end - start - 1]
        at += len(own)
        cuts = [0, *(np.flatnonzero(own[1:] != own[:-1]) + 1).tolist(), len(own)]
        own_widths = own[cuts[:-1]].tolist()
        pieces += [
            (start + a, start + b + 1, w)
            for a, b, w in zip(cuts, cuts[1:], own_widths, strict=False)
        ]
    return pieces


def bounds(strokes: Sequence[Stroke]) -> NDArray[np.float64]:
    """Left, top, right and bottom."""
    points = np.concatenate(strokes)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
