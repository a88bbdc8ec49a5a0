"""Render similarity: how similar a picture and the rendering of its reading are.

Typeface, weight and exact size differ between a picture and a rendering of the same formula. So
both are cropped to their ink, brought to one size and blurred a little. The measure is the cosine
of the two arrays of ink, times a factor for how well their proportions agree.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from texlens.engine import Failure
from texlens.images import ink_box
from texlens.reading.pictures.filters import gaussian_blur
from texlens.render import Size, png_many

Ink = npt.NDArray[np.float32]
"""Grey values (height, width) from 0 (ground) to 1 (the darkest ink), cropped to the ink."""

_EM_PIXELS = 12.0  # size of the type in which the two are compared
_OVERSAMPLING = 2
_BLUR_EMS = 0.1
_MOST_PIXELS = 2_000_000  # of a picture; a larger one is reduced first
_FAINTEST = 0.12


def render_similarities(picture: Image.Image, formulas: Sequence[str]) -> list[float]:
    """The similarity (0..1) of each formula's rendering to the picture (ink dark on white).

    0 for a formula that cannot be rendered, or has no ink.
    """
    while picture.width * picture.height > _MOST_PIXELS:
        picture = picture.reduce(2)
    seen = _ink(picture)
    if seen is None:
        return [0.0] * len(formulas)
    return [
        0.0
        if isinstance(result, Failure) or (rendered := _ink(Image.open(io.BytesIO(result)))) is None
        else _similarity(seen, rendered)
        for result in png_many(formulas, Size(em_px=_OVERSAMPLING * _EM_PIXELS))
    ]


def _ink(picture: Image.Image) -> Ink | None:
    """The ink of a picture; None where there is none."""
    ink = 1.0 - np.asarray(picture.convert("L"), dtype=np.float32) / 255.0
    box = ink_box(ink > _FAINTEST)
    return None if box is None else ink[box]


def _similarity(seen: Ink, rendered: Ink) -> float:
    height, width = (max(1, round(side / _OVERSAMPLING)) for side in rendered.shape)
    one, other = (_blurred(ink, width, height) for ink in (seen, rendered))
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float((one * other).sum()) / norm if norm else 0.0
    proportions = math.log(seen.shape[1] / seen.shape[0] * rendered.shape[0] / rendered.shape[1])
    return min(1.0, cosine) * math.exp(-abs(proportions))


def _blurred(ink: Ink, width: int, height: int) -> Ink:
    resized = Image.fromarray(ink).resize((width, height), Image.Resampling.BOX)
    margin = round(3 * _BLUR_EMS * _EM_PIXELS)
    padded = np.pad(np.asarray(resized), margin)
    return gaussian_blur(padded, _BLUR_EMS * _EM_PIXELS)
