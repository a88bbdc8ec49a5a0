"""What augmentations have in common."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Generator = np.random.Generator
Augmentation = Callable[[Picture, float, Generator], Picture]


def as_rgb(picture: Picture) -> Picture:
    """The picture with three channels."""
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def fit(field: NDArray[np.floating], picture: Picture) -> NDArray[np.floating]:
    """A field (height, width) in the shape that the picture's arithmetic needs."""
    return field if picture.ndim == 2 else field[..., None]


def clip(values: NDArray[np.floating]) -> Picture:
    """Values as bytes."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def paper_of(picture: Picture) -> tuple[float, ...]:
    """The background's colour: the median of the pixels along the edge."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return tuple(float(value) for value in np.atleast_1d(np.median(edge, axis=0)))


def soft_field(height: int, width: int, rng: Generator, cells: int) -> NDArray[np.float32]:
    """Smooth random values around 0, varying over about ``cells`` pixels."""
    coarse = rng.normal(size=(height // cells + 2, width // cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
