"""The augmentations by name, in the order of their happening, and how often a medium has each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from texlens.data.pictures.augmentation.base import Augmentation, Generator, Picture
from texlens.data.pictures.augmentation.framing import cut_tight, number_equation, show_neighbours
from texlens.data.pictures.augmentation.optics import (
    add_noise,
    blur,
    cast_shadow,
    compress,
    lose_resolution,
    rescale,
    rotate,
    tilt,
)
from texlens.data.pictures.augmentation.paper import (
    add_dust,
    bleed_through,
    change_ink_weight,
    halftone,
    rule_paper,
    tint_background,
)
from texlens.data.pictures.augmentation.screen import (
    darken_background,
    glare,
    highlight,
    moire,
    put_in_box,
)
from texlens.errors import InputError

# In the order in which they happen; geometry comes before background and light, so that what it adds at
# the edges gets the same paper and the same shadow.
AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "ink_weight": change_ink_weight,
    "bleed_through": bleed_through,
    "halftone": halftone,
    "equation_number": number_equation,
    "neighbours": show_neighbours,
    "tight_crop": cut_tight,
    "ruled_paper": rule_paper,
    "dust": add_dust,
    "highlighter": highlight,
    "box": put_in_box,
    "perspective": tilt,
    "rotation": rotate,
    "scale": rescale,
    "dark_background": darken_background,
    "background": tint_background,
    "shadow": cast_shadow,
    "moire": moire,
    "glare": glare,
    "resolution": lose_resolution,
    "blur": blur,
    "noise": add_noise,
    "jpeg": compress,
}

Medium = Literal["scan", "screen", "photo", "screen_photo"]
# How often each augmentation occurs on each medium, before strength is applied.
MEDIA: Final[dict[Medium, dict[str, float]]] = {
    "scan": {
        "ink_weight": 0.9, "background": 0.2, "rotation": 0.5, "resolution": 0.3, "blur": 0.5,
        "noise": 0.6, "jpeg": 0.4, "dust": 0.4, "bleed_through": 0.25, "halftone": 0.15,
        "neighbours": 0.15, "tight_crop": 0.15, "equation_number": 0.1,
    },
    "screen": {
        "ink_weight": 0.4, "dark_background": 0.3, "background": 0.3, "scale": 0.5, "resolution": 0.3,
        "jpeg": 0.4, "highlighter": 0.1, "box": 0.15, "neighbours": 0.15, "tight_crop": 0.3,
        "equation_number": 0.1,
    },
    "photo": {
        "ink_weight": 0.5, "background": 0.8, "shadow": 0.8, "perspective": 0.8, "rotation": 0.6,
        "blur": 0.7, "noise": 0.8, "jpeg": 0.8, "ruled_paper": 0.1, "bleed_through": 0.15,
        "neighbours": 0.2, "equation_number": 0.1,
    },
    "screen_photo": {
        "dark_background": 0.2, "perspective": 0.8, "rotation": 0.5, "background": 0.6, "moire": 0.9,
        "glare": 0.5, "blur": 0.6, "noise": 0.5, "jpeg": 0.8, "neighbours": 0.2,
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
