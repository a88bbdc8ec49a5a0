"""The grain of a sensor or scanner: how strong it is, and a picture without it.

The picture is averaged over places that look alike (non-local means: Buades, Coll, Morel, 2005), so
that strokes keep their edges where a blur would lose them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Grey = npt.NDArray[np.float32]

_LEAST_NOISE = 2.0  # levels of 255; what is less does not hide ink
_BLOCK = 4  # pixels: the side of the squares in which the noise is measured
_FLATTEST = 0.25  # of the squares, which hold no stroke even in dense type
_OF_FLATTEST = 0.81  # their deviation, where all of the picture is noise of deviation 1
_MAX_PIXELS = 1_000_000  # of a picture with noise; a larger one is averaged over squares of 2 x 2
_REACH = 6  # pixels, each way, to the places that may look alike
_STRENGTH = 0.8  # deviations of the noise: two places with a greater difference are not alike


def without_noise(grey: Grey) -> Grey:
    """The picture without its noise: as it is when it has none, of half its size if it is large."""
    noise = noise_level(grey)
    while noise > _LEAST_NOISE and grey.size > _MAX_PIXELS:
        grey = np.asarray(Image.fromarray(grey).reduce(2))
        noise = noise_level(grey)
    return (
        grey if noise <= _LEAST_NOISE else _average_of_alike(_without_outliers(grey, noise), noise)
    )


def noise_level(grey: Grey) -> float:
    """The standard deviation of the noise, from the flattest squares of the picture."""
    rows, columns = (side // _BLOCK for side in grey.shape)
    if rows * columns < _BLOCK:
        return 0.0
    squares = grey[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    # A slope of the light is not noise: it is taken out along with the mean.
    centred = squares - squares.mean(axis=1, keepdims=True)
    centred -= centred.mean(axis=3, keepdims=True)
    variance = np.einsum("ribj,ribj->rb", centred, centred).ravel() / (_BLOCK - 1) ** 2
    place = int(_FLATTEST * (variance.size - 1))
    return float(np.sqrt(np.partition(variance, place)[place])) / _OF_FLATTEST


def _without_outliers(grey: Grey, noise: float) -> Grey:
    """Single pixels far darker or lighter than all around them, brought near to these."""
    picture = Image.fromarray(np.rint(grey).astype(np.uint8))
    darkest, lightest = (
        np.asarray(picture.filter(ImageFilter.RankFilter(3, rank)), dtype=np.float32)
        for rank in (1, 7)
    )
    return np.clip(grey, darkest - noise, lightest + noise)


def _average_of_alike(grey: Grey, noise: float) -> Grey:
    """Every pixel, averaged with the pixels near by whose neighbours look like its own."""
    height, width = grey.shape
    wide = np.pad(grey, _REACH + 1, mode="symmetric")
    here = wide[_REACH : _REACH + height + 2, _REACH : _REACH + width + 2]
    total, weights = grey.copy(), np.ones_like(grey)
    for down in range(2 * _REACH + 1):
        for across in range(2 * _REACH + 1):
            if down == across == _REACH:
                continue
            there = wide[down : down + height + 2, across : across + width + 2]
            squares = np.square(here - there)
            rows = squares[:-2] + squares[1:-1] + squares[2:]
            difference = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9.0
            # Noise alone makes a difference of twice its variance.
            excess = np.maximum(difference - 2.0 * noise**2, 0.0)
            weight = np.exp(excess / -((_STRENGTH * noise) ** 2))
            total += weight * there[1:-1, 1:-1]
            weights += weight
    return total / weights
