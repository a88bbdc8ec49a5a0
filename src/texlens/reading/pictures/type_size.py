"""The size of the type in a picture, from the sizes of its glyphs.

A maximum likelihood estimate. `glyph_sizes.npy` holds the distribution of the heights and widths of
glyphs in formulas (small letters, capitals, scripts, signs, large operators): logarithms of
probabilities over a grid of log(height / em) and log(width / em), counted on printed formulas in
many fonts and sizes by `tools/reading/count_glyph_sizes.py`. The estimate is the size of type under
which the glyphs of a picture are most likely. On the last 500 pictures of im2latex_train, which were
not counted, its standard deviation is a factor of 1.06; that of the median glyph's height is 1.13.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from texlens.reading.pictures.filters import gaussian_blur
from texlens.reading.pictures.parts import connected_parts

Floats = npt.NDArray[np.float64]

GRID = 56  # cells a side
LOG_EMS = (-3.2, 2.4)  # what the grid spans, each way
FAINTEST_INK = 224.0
# More parts than these are halftones, noise or dots. What they would take is bounded: memory by the
# number of parts that are looked at, time by a sample of them that says as much.
_MOST_PARTS = 50_000
_SAMPLE = 4_000
_CANDIDATES = np.exp(np.arange(np.log(4.0), np.log(260.0), 0.02))  # pixels per em


def type_size(ink: npt.NDArray[Any]) -> float | None:
    """Pixels per em of a picture (height, width), 0 ink and 255 ground; None without any glyph."""
    heights, widths = glyph_sizes(ink)
    if heights.size == 0:
        return None
    step = -(-heights.size // _SAMPLE)
    heights, widths = heights[::step], widths[::step]
    table = _log_probabilities()
    scale = np.log(_CANDIDATES)
    rows = grid_cells(np.log(heights)[:, None] - scale)
    columns = grid_cells(np.log(widths)[:, None] - scale)
    likelihood = gaussian_blur(table[rows, columns].sum(axis=0), 2.0)
    return float(_CANDIDATES[np.argmax(likelihood)])


def glyph_sizes(ink: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Heights and widths in pixels of the connected parts that may be glyphs.

    Left out are rules (more than six times as wide as high), what is less than 3 pixels high, and
    the parts after the first `_MOST_PARTS` from the top.
    """
    inked = ink < FAINTEST_INK
    if not inked.any():
        return np.empty(0), np.empty(0)
    # Thin strokes in small type are never black: halfway from the usual ink to white, a stroke
    # holds together and its neighbours stay apart.
    level = (float(np.median(ink[inked])) + 255.0) / 2
    sizes = connected_parts(ink < level).sizes(_MOST_PARTS)
    heights, widths = (side.astype(np.float64) for side in sizes)
    may_be_glyph = (heights >= 3) & (widths < 6 * heights)
    # Half a pixel is the strokes' soft edge.
    return heights[may_be_glyph] - 0.5, widths[may_be_glyph] - 0.5


def grid_cells(log_ems: Floats) -> npt.NDArray[np.intp]:
    """The grid's cells along one side; what lies beyond belongs to the last cell."""
    low, high = LOG_EMS
    return np.clip((log_ems - low) * (GRID / (high - low)), 0, GRID - 1).astype(np.intp)


@lru_cache(maxsize=1)
def _log_probabilities() -> npt.NDArray[np.float32]:
    place = resources.files("texlens.reading.pictures") / "glyph_sizes.npy"
    with place.open("rb") as file:
        table: npt.NDArray[np.float16] = np.load(file, allow_pickle=False)
    return table.astype(np.float32)
