"""Augmentation of training pictures, in the data loader's processes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import get_args

import numpy as np
from PIL import Image

from texlens.reading.pictures.framing import Frame, NoInk, frame_picture
from texlens.train.sft.settings import TrainingAugmentation


class PictureAugmenter:
    """Augments the pictures of a batch, and frames them again for a model that takes framed ones.

    The choices depend on the seed and on which examples are in the batch. So they differ from epoch to
    epoch, as the batches do, and are the same in a run that was resumed.
    """

    def __init__(self, settings: TrainingAugmentation, frame: Frame | None, *, seed: int) -> None:
        self.settings, self.frame, self.seed = settings, frame, seed

    def __call__(self, pictures: Sequence[Image.Image], ids: Sequence[str]) -> list[Image.Image]:
        """The pictures (RGB), some of them augmented."""
        random = np.random.default_rng((self.seed, zlib.crc32("\0".join(ids).encode())))
        return [self._augmented(picture, random) for picture in pictures]

    def _augmented(self, picture: Image.Image, random: np.random.Generator) -> Image.Image:
        from texlens.data.pictures.augmentation import Medium, augment_as

        media: tuple[Medium, ...] = get_args(Medium)
        shares = [getattr(self.settings, medium) for medium in media]
        place = int(np.searchsorted(np.cumsum(shares), random.random(), side="right"))
        if place == len(media):
            return picture
        strength = self.settings.strength
        changed = augment_as(np.asarray(picture), media[place], random, strength=strength)
        augmented = Image.fromarray(changed).convert("RGB")
        if self.frame is None:
            return augmented
        try:
            return frame_picture(augmented, self.frame).convert("RGB")
        except NoInk:  # too much of it was lost
            return picture
