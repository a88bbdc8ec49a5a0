"""Pictures to patches, as Qwen2.5-VL's processor makes them, in numpy.

Follows transformers' `Qwen2VLImageProcessorPil`; `tests/reading/backends/test_onnx.py` compares
the values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from texlens.errors import InputError
from texlens.model.image_settings import OWN_FILE, image_settings
from texlens.reading.backends.onnx_graphs import Grid


@dataclass(frozen=True, slots=True)
class PatchMaker:
    """Cuts pictures into patches; the fields are the settings of the image processor."""

    patch_size: int
    merge_size: int
    temporal_patch_size: int
    image_mean: Sequence[float]
    image_std: Sequence[float]
    rescale_factor: float
    resample: int
    min_pixels: int
    max_pixels: int

    @classmethod
    def load(cls, folder: Path, min_pixels: int, max_pixels: int) -> PatchMaker:
        """That of a model's folder, with the pixel limits of its prompt configuration.

        Raises InputError when the folder has no settings of an image processor.
        """
        config = image_settings(folder)
        if config is None:
            raise InputError(f"'{folder}' has no settings of an image processor: no {OWN_FILE}.")
        config |= {"min_pixels": min_pixels, "max_pixels": max_pixels}
        return cls(**{field.name: config[field.name] for field in fields(cls)})

    def cut(self, image: Image.Image) -> Grid:
        """The patches of one picture (rows * columns, channels * frames * side^2).

        They stand in squares of merge x merge; a still picture is a film of equal frames.
        """
        height, width = self._size(image.height, image.width)
        image = image.convert("RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling(self.resample))
        values = np.asarray(image, dtype=np.float32) * np.float32(self.rescale_factor)
        mean, spread = (np.asarray(each, np.float32) for each in (self.image_mean, self.image_std))
        values = (values - mean) / spread
        side, merge = self.patch_size, self.merge_size
        rows, columns = height // side, width // side
        patches = values.reshape(rows // merge, merge, side, columns // merge, merge, side, 3)
        patches = patches.transpose(0, 3, 1, 4, 6, 2, 5)[:, :, :, :, :, None]
        patches = np.repeat(patches, self.temporal_patch_size, axis=5)
        return Grid(patches.reshape(rows * columns, -1), rows, columns)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """The nearest sides that are multiples of a token's, with an area within the limits."""
        unit = self.patch_size * self.merge_size
        sides = (height, width)
        fitted = [round(side / unit) * unit for side in sides]
        if fitted[0] * fitted[1] > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            fitted = [max(unit, math.floor(side / shrink / unit) * unit) for side in sides]
        elif fitted[0] * fitted[1] < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            fitted = [math.ceil(side * grow / unit) * unit for side in sides]
        return fitted[0], fitted[1]
