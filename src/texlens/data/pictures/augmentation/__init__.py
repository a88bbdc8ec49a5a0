"""Augmentation: what print, scanners, screens, cameras and people do to a picture of a formula.

Each augmentation is a function of a picture, a strength from 0 (no change) to 1 (the worst that is
still legible) and a random generator, which chooses direction, place and pattern. A picture is grey
(height, width) or RGB (height, width, 3), 8 bits; an augmentation that needs colour returns RGB.
`augment` applies several in the order in which they happen on the way from paper to file: ink, page,
geometry, background, light, optics, sensor, file. `augment_as` chooses them as a medium has them.

Read `registry` first, then `paper`, `screen`, `framing`, `optics`. `train.pretrain.augmentation` has
the ones that a training run applies to whole batches on its device.
"""

from __future__ import annotations

from texlens.data.pictures.augmentation.base import Augmentation, Generator, Picture
from texlens.data.pictures.augmentation.registry import (
    AUGMENTATIONS,
    MEDIA,
    Medium,
    augment,
    augment_as,
)

__all__ = [
    "AUGMENTATIONS",
    "MEDIA",
    "Augmentation",
    "Generator",
    "Medium",
    "Picture",
    "augment",
    "augment_as",
]
