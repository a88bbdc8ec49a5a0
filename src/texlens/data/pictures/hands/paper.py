"""What else is on a written page: ruled paper, light, other lines, a symbol that was crossed out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from texlens.data.pictures.augmentation import augment
from texlens.data.pictures.hands.pens import bounds
from texlens.data.pictures.ink import Grey, Stroke

# How often each augmentation is applied to a page or a photograph, and its strongest.
_PAGE: Final = {"ruled_paper": (0.5, 0.9), "neighbours": (0.3, 1.0), "dust": (0.2, 0.6),
                "bleed_through": (0.2, 0.6), "noise": (0.3, 0.3)}  # fmt: skip
_PHOTO: Final = {"background": (0.9, 0.6), "shadow": (0.8, 0.8), "perspective": (0.8, 0.6),
                 "rotation": (0.5, 0.4), "blur": (0.6, 0.5), "noise": (0.6, 0.5),
                 "jpeg": (0.6, 0.6)}  # fmt: skip
_MARGIN_PX: Final = 6


def put_on_paper(grey: Grey, rng: np.random.Generator) -> Grey:
    """Ink on white as it is in six of ten pictures; else on a page, or in a photograph of one."""
    kind = rng.random()
    if kind < 0.6:
        return grey
    chances = _PAGE if kind < 0.85 else _PAGE | _PHOTO
    strengths = {
        name: float(rng.uniform(0.2, 1.0)) * most
        for name, (chance, most) in chances.items()
        if rng.random() < chance
    }
    if not strengths:
        return grey
    picture = augment(np.pad(grey, _MARGIN_PX, constant_values=255), strengths, rng)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) if picture.ndim == 3 else picture


def cross_out(
    strokes: Sequence[Stroke], rng: np.random.Generator, chance: float = 0.04
) -> list[Stroke]:
    """Now and then a symbol before or after the formula that was written wrongly and crossed out.

    It is one of the formula's own first strokes, under a scribble.
    """
    if rng.random() >= chance:
        return list(strokes)
    left, top, right, bottom = bounds(strokes)
    wrong = strokes[int(rng.integers(len(strokes)))]
    low = wrong.min(axis=0)
    size = np.maximum(wrong.max(axis=0) - low, 0.05)
    wrong = (wrong - low) * min(1.0, 0.8 / float(size.max()))
    wide = float(np.ptp(wrong[:, 0]))
    x = left - 0.6 - wide if rng.random() < 0.3 else right + 0.4
    wrong = wrong + np.array([x, (top + bottom) / 2 - 0.3])
    zigzags = int(rng.integers(3, 9))
    box = bounds([wrong]) + np.array([-0.1, -0.05, 0.1, 0.05])
    scribble = np.empty((zigzags + 1, 2))
    scribble[:, 0] = np.linspace(box[0], box[2], zigzags + 1)
    scribble[:, 1] = np.where(np.arange(zigzags + 1) % 2, box[3], box[1])
    scribble += rng.normal(0.0, 0.06, scribble.shape)
    # Drawn in one go: points between the turns, so that the filter of the pen rounds them.
    along = np.linspace(0, zigzags, 6 * zigzags + 1)
    turns = np.arange(zigzags + 1)
    smooth = np.stack([np.interp(along, turns, scribble[:, axis]) for axis in (0, 1)], axis=1)
    return [*strokes, wrong, smooth]
