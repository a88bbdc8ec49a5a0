"""Paper and print: ink, dust, the page behind, halftone, coloured and ruled paper."""

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
    fibre = soft_field(height, width, rng, cells=24) * 14.0 * strength
    light = as_rgb(picture).astype(np.float32) / 255.0
    return clip(ink + light * (background - ink) + fibre[..., None] * light)


def bleed_through(picture: Picture, strength: float, rng: Generator) -> Picture:
    """The other side of the page: mirrored print, faint and soft, up to a third as dark as ink."""
    behind = np.roll(
        np.flip(picture, axis=1),
        (int(rng.integers(picture.shape[0])), int(rng.integers(picture.shape[1]))),
        axis=(0, 1),
    )
    soft = cv2.GaussianBlur(np.ascontiguousarray(behind), (0, 0), 1.0 + float(rng.uniform(0, 1.5)))
    faint = 255.0 - (255.0 - soft.astype(np.float32)) * 0.33 * strength
    return clip(np.minimum(picture, faint))


def add_dust(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Specks and hairs of dirt, up to 6 in 100 x 100 pixels; and dropouts in the ink."""
    dusty = picture.copy()
    height, width = picture.shape[:2]
    count = rng.poisson(6.0 * strength * height * width / 10_000)
    for _ in range(min(int(count), 400)):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        value = float(rng.choice((rng.uniform(0, 140), 255.0), p=(0.8, 0.2)))
        colour = (value,) * 3 if picture.ndim == 3 else value
        if rng.random() < 0.12:
            end = (at[0] + int(rng.integers(-12, 13)), at[1] + int(rng.integers(-12, 13)))
            cv2.line(dusty, at, end, colour, 1, cv2.LINE_AA)
        else:
            cv2.circle(dusty, at, int(rng.integers(0, 2)), colour, -1, cv2.LINE_AA)
    return dusty


def halftone(picture: Picture, strength: float, rng: Generator) -> Picture:
    """The dots of a cheap print or a fax: grey becomes a pattern; at full strength black and white."""
    height, width = picture.shape[:2]
    period, angle = float(rng.uniform(2.2, 4.5)), float(rng.uniform(0, np.pi / 2))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = -np.sin(angle) * x + np.cos(angle) * y
    wave = 2 * np.pi / period
    screen = 128.0 + 60.0 * (np.cos(wave * along) + np.cos(wave * across))
    grey = picture.astype(np.float32)
    hard = 1.0 + 7.0 * strength
    dotted = 255.0 / (1.0 + np.exp(-(grey - fit(screen, picture)) / 255.0 * 4.0 * hard))
    return clip(grey + strength * (dotted - grey))


def rule_paper(picture: Picture, strength: float, rng: Generator) -> Picture:
    """Lined or squared paper under the ink, in a pale blue, grey or red."""
    ruled = as_rgb(picture).astype(np.float32)
    height, width = picture.shape[:2]
    step = max(6, int(rng.uniform(0.25, 1.1) * min(height, 90)))
    colour = np.array(
        ((120, 150, 210), (150, 150, 150), (210, 140, 140), (140, 190, 170))[rng.integers(4)]
    )
    tint = 1.0 - strength * (1.0 - colour / 255.0)
    rows = np.arange(int(rng.integers(step)), height, step)
    ruled[rows] *= tint
    if rng.random() < 0.5:
        columns = np.arange(int(rng.integers(step)), width, step)
        ruled[:, columns] *= tint
    return clip(ruled)
