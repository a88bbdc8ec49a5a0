"""Strokes as a grey picture: ballpoint, pencil, marker, whiteboard, tablet.

A hand has no pressure in the data, but a speed: CROHME's points come at about equal times, and a pen
that moves fast leaves a thinner line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.ink import Grey, Stroke

_SUPERSAMPLING: Final = 2
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
    Pen("tablet", (0.7, 2.4), 0.0, (1.0, 1.0), 0.0),
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
    for stroke in strokes:
        points = (stroke - low) * scale + margin
        widths = _widths(stroke, line, pen.speed)
        for _ in range(passes if len(points) > 2 else 0):
            points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
        fixed = np.round(points * (1 << _FRACTION_BITS)).astype(np.int32).reshape(-1, 1, 2)
        if len(fixed) == 1:
            fixed = np.repeat(fixed, 2, axis=0)
        for start, end, width in widths:
            part = fixed[start:end]
            cv2.polylines(canvas, [part], False, 0, width, cv2.LINE_AA, _FRACTION_BITS)
    small = (size[0] // _SUPERSAMPLING, size[1] // _SUPERSAMPLING)
    grey = np.asarray(cv2.resize(canvas, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    tone = float(rng.uniform(*pen.tone))
    if tone < 1.0 or pen.grain:
        dark = (255.0 - grey) * tone
        if pen.grain:
            dark *= 1 - pen.grain * rng.random(grey.shape, dtype=np.float32)
        grey = (255.0 - dark).astype(np.uint8)
    return grey


def _widths(stroke: Stroke, line: float, speed: float) -> list[tuple[int, int, int]]:
    """Pieces of a stroke of one width each: from which point to which, in pixels."""
    if not speed or len(stroke) < 8:
        return [(0, max(len(stroke), 2), max(1, round(line)))]
    steps = np.diff(stroke, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    lengths = np.convolve(lengths, np.full(5, 0.2), mode="same")
    usual = max(float(np.median(lengths)), 1e-9)
    factor = np.clip((lengths + 0.2 * usual) / (1.2 * usual), 0.3, 3.0) ** -speed
    widths = np.maximum(1, np.round(line * factor)).astype(int)
    cuts = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(widths)]
    return [(start, end + 1, int(widths[start])) for start, end in pairwise(cuts)]


def bounds(strokes: Sequence[Stroke]) -> NDArray[np.float64]:
    """Left, top, right and bottom."""
    points = np.concatenate(strokes)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
