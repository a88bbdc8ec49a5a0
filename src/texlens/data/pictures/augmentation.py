"""Augmentation: what scanners, screens and cameras do to a picture of a formula.

Each augmentation is a function of a picture, a strength from 0 (no change) to 1 (the worst that is
still legible) and a random generator, which chooses direction, place and pattern. A picture is grey
(height, width) or RGB (height, width, 3), 8 bits; an augmentation that needs colour returns RGB.
`augment` applies several in the order in which they happen on the way from paper to file: ink,
geometry, background, light, optics, sensor, file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from texlens.errors import InputError

Picture = NDArray[np.uint8]
Generator = np.random.Generator
Augmentation = Callable[[Picture, float, Generator], Picture]


def change_ink_weight(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Thicker or thinner ink: a power of up to 5 or 1/5 on how dark each pixel is."""
    gamma = 5.0 ** (strength * rng.choice((-1.0, 1.0)))
    darkness = 1.0 - np.arange(256) / 255.0
    table = np.round(255.0 * (1.0 - darkness ** (1.0 / gamma))).astype(np.uint8)
    weighted: Picture = table[picture]
    return weighted


def tint_background(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Coloured paper with uneven fibre, and ink of a colour of its own."""
    height, width = picture.shape[:2]
    background = 255.0 - strength * rng.uniform(10.0, 95.0, size=3)
    ink = strength * rng.uniform(0.0, 70.0, size=3)
    fibre = _soft_field(height, width, rng, cells=24) * 14.0 * strength
    light = _as_rgb(picture).astype(np.float32) / 255.0
    return _clip(ink + light * (background - ink) + fibre[..., None] * light)


def darken_background(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A dark theme: light symbols on a dark background, of less contrast the stronger."""
    if strength == 0:
        return picture
    background = rng.uniform(0.0, 20.0 + 50.0 * strength, size=3)
    ink = 255.0 - rng.uniform(0.0, 20.0 + 70.0 * strength, size=3)
    light = _as_rgb(picture).astype(np.float32) / 255.0
    return _clip(ink + light * (background - ink))


def cast_shadow(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Uneven light: a slope across the picture and a soft-edged shadow, down to 35 % of it."""
    height, width = picture.shape[:2]
    angle, middle = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.3, 0.3)
    softness = rng.uniform(0.05, 0.5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = np.cos(angle) * (x / max(width, 1) - 0.5) + np.sin(angle) * (y / max(height, 1) - 0.5)
    edge = 1.0 / (1.0 + np.exp(-(along - middle) / softness * 4.0))
    return _clip(picture * _fit(1.0 - 0.65 * strength * edge, picture))


def rotate(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A turn by up to 6 degrees either way; the picture grows so that nothing is cut off."""
    degrees = 6.0 * strength * float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0))
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, high = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += (wide - width) / 2, (high - height) / 2
    turned = cv2.warpAffine(
        picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=_paper(picture)
    )
    return np.asarray(turned, dtype=np.uint8)


def tilt(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Perspective: every corner moves inwards by up to a fifth of the height."""
    height, width = picture.shape[:2]
    reach = 0.2 * strength * min(height, width)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float32)
    moved = corners + inwards * rng.uniform(0.2, 1.0, size=(4, 2)).astype(np.float32) * reach
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    tilted = cv2.warpPerspective(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=_paper(picture)
    )
    return np.asarray(tilted, dtype=np.uint8)


def lose_resolution(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Fewer pixels, as a small screen grab scaled up again: down to 40 % and back."""
    height, width = picture.shape[:2]
    factor = 1.0 - 0.6 * strength * float(rng.uniform(0.7, 1.0))
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    if small == (width, height):
        return picture
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    way_back = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=way_back), dtype=np.uint8)


def rescale(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Another size: by a factor of up to 2.5, larger or smaller."""
    factor = 2.5 ** (strength * float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0)))
    height, width = picture.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)


def blur(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Out of focus (Gaussian, up to 1.8 pixels) or moved (a streak of up to 6 pixels)."""
    if rng.random() < 0.7:
        sigma = 0.3 + 1.5 * strength * float(rng.uniform(0.6, 1.0))
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)
    length = 1.0 + 5.0 * strength * float(rng.uniform(0.6, 1.0))
    angle = rng.uniform(0.0, np.pi)
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), dtype=np.float32)
    for step in np.linspace(-length / 2, length / 2, 4 * side):
        row = round(side // 2 + step * np.sin(angle))
        column = round(side // 2 + step * np.cos(angle))
        kernel[row, column] = 1.0
    kernel /= kernel.sum()
    moved = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def add_noise(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Sensor grain (up to 35 grey values) and, on some pictures, black and white specks."""
    grain = rng.normal(0.0, 35.0 * strength, size=picture.shape[:2])
    noisy = picture + _fit(grain, picture)
    if rng.random() < 0.3:
        level = rng.random(picture.shape[:2])
        noisy[level < 0.008 * strength] = 0.0
        noisy[level > 1.0 - 0.008 * strength] = 255.0
    return _clip(noisy)


def compress(picture: Picture, strength: float, rng: Generator) -> Picture:
    """JPEG, from quality 95 down to 12."""
    quality = round(95 - 83 * strength * float(rng.uniform(0.7, 1.0)))
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError("A picture of this size cannot be JPEG: at most 65,500 pixels a side.")
    how = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(encoded, how), dtype=np.uint8)


# In the order in which they happen; geometry comes before background and light, so that what it adds at
# the edges gets the same paper and the same shadow.
AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "ink_weight": change_ink_weight,
    "perspective": tilt,
    "rotation": rotate,
    "scale": rescale,
    "dark_background": darken_background,
    "background": tint_background,
    "shadow": cast_shadow,
    "resolution": lose_resolution,
    "blur": blur,
    "noise": add_noise,
    "jpeg": compress,
}

Medium = Literal["scan", "screen", "photo"]
# How often each augmentation occurs on each medium, before strength is applied.
MEDIA: Final[dict[Medium, dict[str, float]]] = {
    "scan": {
        "ink_weight": 0.9, "background": 0.2, "rotation": 0.5, "resolution": 0.3, "blur": 0.5,
        "noise": 0.6, "jpeg": 0.4,
    },
    "screen": {
        "ink_weight": 0.4, "dark_background": 0.3, "background": 0.3, "scale": 0.5, "resolution": 0.3,
        "jpeg": 0.4,
    },
    "photo": {
        "ink_weight": 0.5, "background": 0.8, "shadow": 0.8, "perspective": 0.8, "rotation": 0.6,
        "blur": 0.7, "noise": 0.8, "jpeg": 0.8,
    },
}  # fmt: skip


def augment(picture: Picture, strengths: Mapping[str, float], rng: Generator) -> Picture:
    """Apply the augmentations named, each at its strength, in the order of `AUGMENTATIONS`.

    Args:
        picture: grey (height, width) or RGB (height, width, 3), 8 bits. It is not changed.
        strengths: from a name in `AUGMENTATIONS` to 0..1; at 0 nothing happens.
        rng: the same state gives the same picture.

    Raises:
        InputError: an unknown name, a strength out of range, or an array that is not such a picture.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or not picture.size:
        raise InputError("A picture is an array (height, width) or (height, width, 3) of bytes.")
    for name, strength in strengths.items():
        if name not in AUGMENTATIONS:
            raise InputError(
                f"There is no augmentation '{name}': choose among {', '.join(AUGMENTATIONS)}."
            )
        if not 0.0 <= strength <= 1.0:
            raise InputError(f"The strength of '{name}' is {strength}: give a number from 0 to 1.")
    for name, function in AUGMENTATIONS.items():
        if strengths.get(name, 0.0) > 0.0:
            picture = function(picture, strengths[name], rng)
    return picture


def augment_as(
    picture: Picture, medium: Medium, rng: Generator, *, strength: float = 0.5
) -> Picture:
    """Augment a picture as a scan, a screen capture or a photo might be.

    Which augmentations occur, and each one's strength from 0 to ``strength``, is chosen by ``rng``.
    """
    if medium not in MEDIA:
        raise InputError(f"There is no medium '{medium}': choose among {', '.join(MEDIA)}.")
    strengths = {
        name: strength * float(rng.uniform())
        for name, probability in MEDIA[medium].items()
        if rng.random() < probability
    }
    return augment(picture, strengths, rng)


def _as_rgb(picture: Picture) -> Picture:
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _fit(field: NDArray[np.floating], picture: Picture) -> NDArray[np.floating]:
    """A field (height, width) in the shape that the picture's arithmetic needs."""
    return field if picture.ndim == 2 else field[..., None]


def _clip(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _paper(picture: Picture) -> tuple[float, ...]:
    """The background's colour: the median of the pixels along the edge."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return tuple(float(value) for value in np.atleast_1d(np.median(edge, axis=0)))


def _soft_field(height: int, width: int, rng: Generator, cells: int) -> NDArray[np.float32]:
    """Smooth random values around 0, varying over about ``cells`` pixels."""
    coarse = rng.normal(size=(height // cells + 2, width // cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
