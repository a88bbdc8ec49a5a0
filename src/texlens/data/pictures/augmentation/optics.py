"""Light, optics, sensor and file: shadow, turn, perspective, blur, noise, fewer pixels, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from texlens.data.pictures.augmentation.base import (
    Generator,
    Picture,
    clip,
    fit,
    paper_of,
)
from texlens.errors import InputError


def cast_shadow(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Uneven light: a slope across the picture and a soft-edged shadow, down to 35 % of it."""
    height, width = picture.shape[:2]
    angle, middle = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.3, 0.3)
    softness = rng.uniform(0.05, 0.5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = np.cos(angle) * (x / max(width, 1) - 0.5) + np.sin(angle) * (y / max(height, 1) - 0.5)
    edge = 1.0 / (1.0 + np.exp(-(along - middle) / softness * 4.0))
    return clip(picture * fit(1.0 - 0.65 * strength * edge, picture))


def rotate(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A turn by up to 6 degrees either way; the picture grows so that nothing is cut off."""
    degrees = 6.0 * strength * float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0))
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, high = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += (wide - width) / 2, (high - height) / 2
    turned = cv2.warpAffine(
        picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=paper_of(picture)
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
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=paper_of(picture)
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
    noisy = picture + fit(grain, picture)
    if rng.random() < 0.3:
        level = rng.random(picture.shape[:2])
        noisy[level < 0.008 * strength] = 0.0
        noisy[level > 1.0 - 0.008 * strength] = 255.0
    return clip(noisy)


def compress(picture: Picture, strength: float, rng: Generator) -> Picture:
    """JPEG, from quality 95 down to 12."""
    quality = round(95 - 83 * strength * float(rng.uniform(0.7, 1.0)))
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError("A picture of this size cannot be JPEG: at most 65,500 pixels a side.")
    how = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(encoded, how), dtype=np.uint8)
