"""How people cut: too tight, with parts of other lines, with the number of the equation."""

from __future__ import annotations

import io
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.data.pictures.augmentation.base import (
    Generator,
    Picture,
    paper_of,
)


def cut_tight(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Cut at the ink, and up to three pixels into it, where only the tips of strokes are lost."""
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    ink = np.abs(grey.astype(np.int16) - int(np.median(grey))) > 40
    if not ink.any():
        return picture
    into = [int(rng.uniform(0, 3.99 * strength)) for _ in range(4)]
    top, bottom = _tight_range(ink.sum(axis=1), into[0], into[1])
    left, right = _tight_range(ink.sum(axis=0), into[2], into[3])
    return np.ascontiguousarray(picture[top:bottom, left:right])


def _tight_range(amounts: NDArray[np.intp], before: int, after: int) -> tuple[int, int]:
    """From the first to the last line with ink; less tips, which are lines with less than the next.

    A bar, which has more ink than the line beside it, is never cut off.
    """
    inked = np.flatnonzero(amounts)
    first, last = int(inked[0]), int(inked[-1])
    while before and first + 1 < last and amounts[first] < amounts[first + 1]:
        first, before = first + 1, before - 1
    while after and last - 1 > first and amounts[last] < amounts[last - 1]:
        last, after = last - 1, after - 1
    return first, last + 1


def show_neighbours(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Parts of the lines above and below, as if the picture had been cut out of a page.

    The neighbours are made of the picture's own ink, moved sideways; up to a third of a line shows.
    """
    height, width = picture.shape[:2]
    line = min(height, 48)
    paper = np.asarray(paper_of(picture)).astype(np.uint8)
    parts = [picture]
    for above in ((True,), (False,), (True, False))[rng.integers(3)]:
        seen = max(2, int(line * strength * rng.uniform(0.1, 0.4)))
        gap = np.empty((max(2, int(line * rng.uniform(0.15, 0.5))), *picture.shape[1:]), np.uint8)
        gap[:] = paper
        middle = (height - line) // 2
        slab = np.roll(picture[middle : middle + line], int(rng.integers(width)), axis=1)
        slab = slab[-seen:] if above else slab[:seen]
        parts = [slab, gap, *parts] if above else [*parts, gap, slab]
    return np.concatenate(parts)


def number_equation(picture: Picture, strength: float, rng: Generator) -> Picture:
    """The number of the equation at the right or left margin, in the size of the type."""
    from texlens.reading.pictures.type_size import type_size

    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    em = type_size(grey.astype(np.float32)) or 20.0
    large = _numbers()[int(rng.integers(len(_numbers())))]
    factor = em / _EM
    number = np.asarray(
        cv2.resize(large, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    height, width = picture.shape[:2]
    space = int(em * (3.0 + 9.0 * strength * rng.random()))
    tall = max(height, number.shape[0])
    page = np.empty((tall, width + space + number.shape[1], *picture.shape[2:]), np.uint8)
    page[:] = np.asarray(paper_of(picture)).astype(np.uint8)
    right = rng.random() < 0.85
    top = (tall - height) // 2
    left = 0 if right else number.shape[1] + space
    page[top : top + height, left : left + width] = picture
    top = (tall - number.shape[0]) // 2
    left = width + space if right else 0
    place = page[top : top + number.shape[0], left : left + number.shape[1]]
    place[:] = np.minimum(place, number if picture.ndim == 2 else number[..., None])
    return page


_EM = 40.0


@lru_cache(maxsize=1)
def _numbers() -> list[Picture]:
    """Numbers of equations, in grey, at `_EM` pixels an em."""
    from texlens.render import Size, png_many

    texts = [rf"({n})" for n in (1, 2, 3, 7, 12, 45, 108)]
    texts += [rf"({a}.{b})" for a, b in ((1, 2), (2, 14), (3, 5), (4, 31), (6, 8), (10, 3))]
    texts += [r"(\mathrm{A}.2)", r"(3\mathrm{a})", r"[5]", r"(\ast)", r"(\mathrm{iv})"]
    pictures = png_many(texts, Size(em_px=_EM, margin_px=0))
    return [
        np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
        for picture in pictures
        if isinstance(picture, bytes)
    ]
