"""Screens: themes, highlighters and boxes; and what a camera sees of a screen."""

from __future__ import annotations

import cv2
import numpy as np

from texlens.data.pictures.augmentation.base import (
    Generator,
    Picture,
    as_rgb,
    clip,
    fit,
    soft_field,
)


def darken_background(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A dark theme: light symbols on a dark background, of less contrast the stronger."""
    if strength == 0:
        return picture
    background = rng.uniform(0.0, 20.0 + 50.0 * strength, size=3)
    ink = 255.0 - rng.uniform(0.0, 20.0 + 70.0 * strength, size=3)
    light = as_rgb(picture).astype(np.float32) / 255.0
    return clip(ink + light * (background - ink))


def highlight(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A highlighter's stroke, or a selection, over the whole picture or a part of it."""
    marked = as_rgb(picture).astype(np.float32)
    height, width = picture.shape[:2]
    colours = ((255, 240, 90), (150, 240, 150), (255, 180, 200), (150, 210, 255), (255, 205, 130))
    tint = 1.0 - strength * (1.0 - np.array(colours[rng.integers(len(colours))]) / 255.0)
    top, left = (int(rng.uniform(0, 0.4) * side) for side in (height, width))
    bottom = height - int(rng.uniform(0, 0.3) * height)
    right = width - int(rng.uniform(0, 0.5) * width)
    marked[top:bottom, left:right] *= tint
    return clip(marked)


def put_in_box(picture: Picture, strength: float, rng: Generator) -> Picture:
    """On a coloured card with a border, as notes and slides have them; the page around it is white."""
    border, around = int(rng.integers(1, 4)), int(rng.integers(0, 9))
    fill = 255.0 - strength * rng.uniform(0.0, 60.0, size=3)
    edge = 255.0 - strength * rng.uniform(60.0, 230.0, size=3)
    space = int(rng.integers(3, 12))
    inner = cv2.copyMakeBorder(
        as_rgb(picture), space, space, space, space, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    card = inner.astype(np.float32) / 255.0 * fill
    boxed = np.pad(card, ((border,) * 2, (border,) * 2, (0, 0)), constant_values=np.nan)
    boxed = np.where(np.isnan(boxed), edge, boxed)
    if rng.random() < 0.3:  # a bar on the left only
        boxed[:border], boxed[-border:], boxed[:, -border:] = fill, fill, fill
    return clip(np.pad(boxed, ((around,) * 2, (around,) * 2, (0, 0)), constant_values=255.0))


def moire(picture: Picture, strength: float, rng: Generator) -> Picture:
    """A screen's pixels against a camera's: soft coloured fringes, up to a quarter of the light."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    seen = as_rgb(picture).astype(np.float32)
    bend = soft_field(height, width, rng, cells=80) * 4.0
    for _ in range(2):
        angle, period = float(rng.uniform(0, np.pi)), float(rng.uniform(2.5, 14.0))
        along = np.cos(angle) * x + np.sin(angle) * y + bend
        for channel in range(3):
            phase = 2 * np.pi * (along / period + channel / 3.0 * float(rng.uniform(0.3, 1.0)))
            seen[..., channel] *= 1.0 - 0.125 * strength * (1.0 + np.sin(phase))
    return clip(seen)


def glare(picture: Picture, strength: float, rng: Generator) -> Picture:
    """The reflection of a lamp or a window: a soft bright patch that washes out the ink."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        middle = rng.uniform(0, height), rng.uniform(0, width)
        reach = (
            float(rng.uniform(0.3, 1.2)) * max(height, 40),
            float(rng.uniform(0.15, 0.6)) * max(width, 40),
        )
        light += np.exp(-(((y - middle[0]) / reach[0]) ** 2) - ((x - middle[1]) / reach[1]) ** 2)
    veil = fit(np.minimum(light, 1.0) * 0.7 * strength, picture)
    return clip(np.float32(picture) + (255.0 - picture) * veil)
