"""Blurring and closing of pictures, with scipy's results to the last bit.

The training pictures and the calibration were made with `scipy.ndimage`, so the arithmetic is the
same: sums in float64 from the outermost pair of a window inwards, and float32 between the two axes.
At the edges a blur goes on with the mirrored picture, and a closing with the last pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]

_REACH = 4.0  # standard deviations on either side
_BLOCK = 32_768  # values that are filtered at a time, so that they stay in the processor's cache


def gaussian_blur(array: Grey, sigma: float) -> Grey:
    """The array (one or two axes), blurred by a Gaussian of this standard deviation in pixels."""
    reach = int(_REACH * sigma + 0.5)
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    if array.ndim == 1:
        return _blurred_rows(array[None], weights)[0]
    return _blurred_rows(_blurred_rows(array.T, weights).T, weights)


def _blurred_rows(array: Grey, weights: npt.NDArray[np.float64]) -> Grey:
    """Every row, correlated with weights that are symmetric about their middle."""
    height, width = array.shape
    reach = len(weights) // 2
    places = np.arange(-reach, width + reach) % (2 * width)
    places = np.minimum(places, 2 * width - 1 - places)
    blurred = np.empty_like(array)
    step = max(1, _BLOCK // len(places))
    for top in range(0, height, step):
        # The filtered axis comes first: its shifted windows are then whole blocks of memory.
        wide = np.ascontiguousarray(array[top : top + step].T, dtype=np.float64)[places]
        total = wide[reach : reach + width] * weights[reach]
        pair = np.empty_like(total)
        for n in range(reach):
            np.add(wide[n : n + width], wide[2 * reach - n : 2 * reach - n + width], out=pair)
            pair *= weights[n]
            total += pair
        blurred[top : top + step] = total.T
    return blurred


def grey_closing(array: Grey, window: int) -> Grey:
    """The maxima over a square window, then the minima of them: it fills what is dark and narrow."""
    after = window // 2  # of an even window the middle lies left of its centre, then right of it
    before = window - 1 - after
    for pick, reach in ((np.maximum, (before, after)), (np.minimum, (after, before))):
        array = _extremes(_extremes(array, pick, reach).T, pick, reach).T
    return array


def _extremes(array: Grey, pick: Callable[[Grey, Grey], Grey], reach: tuple[int, int]) -> Grey:
    """The extreme of each pixel's window down the first axis; `reach`: pixels before and after it."""
    before, after = reach
    extremes = np.pad(array, ((before, after), (0, 0)), mode="edge")
    done, window = 1, before + after + 1
    while done < window:  # windows of twice the length, each from two of the shorter ones
        shift = min(done, window - done)
        extremes = pick(extremes[:-shift], extremes[shift:])
        done += shift
    return extremes
