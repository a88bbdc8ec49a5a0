"""Bringing a picture to the form of the training data: dark ink on white, its size, its margins.

Everything is measured on the picture itself: its noise, which is removed first (`denoising`), the
brightness of the background around the strokes, and the size of the type (`type_size`). In this
module `ground` is the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from texlens.images import ink_box
from texlens.model.image_settings import image_settings, visual_token_px
from texlens.model.prompt_config import PromptConfig
from texlens.reading.pictures.denoising import without_noise
from texlens.reading.pictures.filters import gaussian_blur, grey_closing
from texlens.reading.pictures.opening import open_picture
from texlens.reading.pictures.parts import connected_parts
from texlens.reading.pictures.type_size import FAINTEST_INK, type_size

Grey = npt.NDArray[np.float32]
"""A picture (height, width) with values from 0 (ink) to 255 (ground)."""

_MAX_WORK_PIXELS = 6_000_000
_MIN_CONTRAST = 24.0  # levels of 255 between ground and ink, below which a page counts as blank
_NOISE_FACTOR = 5.0  # ink differs from the ground by more than so many standard deviations
_EVEN_GROUND = 4.0  # levels: the ground is even when half of the pixels are this near its median
_SHADOW = 16.0  # levels by which a shadow changes the ground
_MAX_ASPECT = 150.0
_EMS_PER_SPECK = 15.0  # side of the largest speck; a full stop is an em / 9
_EMS_PER_WINDOW = 0.45  # wider than any stroke or dot
_LARGER = 1.08  # than in training: more accurate on the last 500 pictures of im2latex_train
_NOT_WORTH_RESAMPLING = 0.05
# Type enlarged more than this is resampled with a sharper filter: more accurate on 60 dev pictures
# at 0.5, 0.6 and 0.75 times their size. Training used the softer filter.
_SHARP_FROM = 2.0
_RELEASED_TOKEN_PX = 28  # of Qwen's released weights, where no folder says it


@dataclass(frozen=True, slots=True)
class Frame:
    """The layout of the pictures that a model was trained on; lengths in pixels.

    Attributes:
        pixels_per_em: the type size.
        margin: the white around the ink.
        multiple: white on the right and below fills both sides up to a multiple of this (the side
            of a visual token), so that the processor does not resample.
        max_pixels: the largest area.
        smallest: the least width and height.
    """

    pixels_per_em: float
    margin: int = 5
    multiple: int = 16
    max_pixels: int = 1_000_000
    smallest: tuple[int, int] = (0, 0)

    def side(self, ink: int) -> int:
        """The length of a side of the picture around this length of ink."""
        return -(-(ink + 2 * self.margin) // self.multiple) * self.multiple


def frame_for(prompt_config: PromptConfig, image_processor: Any) -> Frame | None:
    """The layout of the pictures a specialist was trained on; None for a general model.

    `image_processor`: the model's; it defines how many pixels a visual token covers.
    """
    if prompt_config.pixels_per_em is None:
        return None
    return Frame(
        pixels_per_em=prompt_config.pixels_per_em,
        multiple=image_processor.patch_size * image_processor.merge_size,
        max_pixels=prompt_config.max_pixels,
    )


def frame_of_folder(prompt_config: PromptConfig, folder: Path | None) -> Frame | None:
    """The same without a processor: by the settings in the model's folder, where it is at hand."""
    if prompt_config.pixels_per_em is None:
        return None
    settings = None if folder is None else image_settings(folder)
    multiple = _RELEASED_TOKEN_PX if settings is None else visual_token_px(settings)
    return Frame(
        prompt_config.pixels_per_em, multiple=multiple, max_pixels=prompt_config.max_pixels
    )


class NoInk(Exception):
    """The picture is blank, or contains nothing that could be a formula."""


def open_framed(
    picture: Path | bytes | Image.Image, frame: Frame | None, zoom: float = 1.0
) -> Image.Image:
    """A picture in RGB and in a model's layout; in its own where `frame` is None.

    Raises InputError when it cannot be opened, NoInk as `frame_picture` does.
    """
    image = picture if isinstance(picture, Image.Image) else open_picture(picture)
    image = image.convert("RGB")
    return image if frame is None else frame_picture(image, frame, zoom).convert("RGB")


def frame_picture(image: Image.Image, frame: Frame, zoom: float = 1.0) -> Image.Image:
    """The picture's ink, dark on white, in the model's size and margins (mode L).

    `zoom` makes it larger or smaller than its type asks for.

    Raises NoInk for a blank picture, and for one so thin that nothing on it can be read.
    """
    ink = _cropped(clean_ink(image))
    em = type_size(ink)
    scale = zoom * (_LARGER * frame.pixels_per_em / em if em else 1.0)
    if abs(scale - 1.0) < _NOT_WORTH_RESAMPLING:
        scale = 1.0
    cropped = Image.fromarray(np.rint(ink).astype(np.uint8))
    size = _scaled(cropped.size, scale)
    while frame.side(size[0]) * frame.side(size[1]) > frame.max_pixels and min(size) > 1:
        scale *= 0.95
        size = _scaled(cropped.size, scale)
    if size != cropped.size:
        soft = scale <= _SHARP_FROM
        cropped = cropped.resize(
            size, Image.Resampling.BILINEAR if soft else Image.Resampling.LANCZOS
        )
    return with_margins(cropped, frame)


def with_margins(ink: Image.Image, frame: Frame) -> Image.Image:
    """A grey picture of ink with the frame's margins."""
    width, height = (
        max(frame.side(side), least) for side, least in zip(ink.size, frame.smallest, strict=True)
    )
    framed = Image.new("L", (width, height), 255)
    framed.paste(ink, (frame.margin, frame.margin))
    return framed


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def clean_ink(image: Image.Image) -> Grey:
    """The picture in grey with an even white ground and its darkest ink at 0.

    Light ink on a dark ground is inverted, shadows are divided out, noise on the ground and specks
    are removed. A clean black-on-white picture stays as it is.

    Raises NoInk when nothing stands out from the ground.
    """
    while image.width * image.height > _MAX_WORK_PIXELS:
        image = image.reduce(2)
    grey = without_noise(_grey_with_most_contrast(image))
    is_even = _has_even_ground(grey)
    around = np.full_like(grey, np.median(grey)) if is_even else _surroundings(grey)
    if float(np.mean((grey - around) ** 3)) > 0:  # the few pixels far from the ground are lighter
        grey, around = 255.0 - grey, 255.0 - around
    if is_even:
        return _without_specks(_stretched(grey, around))
    ink = _stretched(grey, _ground(grey, min(grey.shape) / 3))
    if (em := type_size(ink)) is not None:
        ink = _stretched(grey, _ground(grey, _EMS_PER_WINDOW * em))
    return _without_specks(ink)


def _stretched(grey: Grey, ground: Grey) -> Grey:
    """Dark ink on its ground, brought to the range from 0 (the darkest ink) to 255 (the ground)."""
    relative = (grey - ground) * (255.0 / np.maximum(ground, 32.0))
    relative -= np.median(relative)
    noise = 1.4826 * float(np.median(np.abs(relative)))
    marked = relative < -max(_NOISE_FACTOR * noise, _MIN_CONTRAST)
    if not marked.any():
        raise NoInk
    black = float(np.percentile(relative[marked], 1))
    # White is the ground's middle, not the darkest of its noise: that would take thin strokes.
    stretched = np.clip((relative - black) * (255.0 / -black), 0.0, 255.0)
    return np.asarray(stretched, dtype=np.float32)


def _grey_with_most_contrast(image: Image.Image) -> Grey:
    """Luminance, or the colour channel that shows the ink better where luminance hardly does."""
    luminance = np.asarray(image.convert("L"), dtype=np.float32)
    if _spread(luminance) >= 64.0 or image.mode != "RGB":
        return luminance
    channels = [np.asarray(channel, dtype=np.float32) for channel in image.split()]
    return max([luminance, *channels], key=_spread)


def _spread(grey: Grey) -> float:
    low, high = np.percentile(grey, (0.5, 99.5))
    return float(high - low)


def _surroundings(grey: Grey) -> Grey:
    """The brightness around every pixel, ink included."""
    return gaussian_blur(grey, max(2.0, min(grey.shape) / 4))


def _has_even_ground(grey: Grey) -> bool:
    """Whether most pixels have one brightness, and ink alone differs from it: no shadow."""
    middle = np.median(grey)
    if float(np.mean(np.abs(grey - middle) <= _EVEN_GROUND)) < 0.5:
        return False
    block = max(16, min(grey.shape) // 3)
    rows, columns = (side // block for side in grey.shape)
    if not rows * columns:
        return True
    blocks = grey[: rows * block, : columns * block].reshape(rows, block, columns, block)
    values = blocks[:, ::2, :, ::2].swapaxes(1, 2).reshape(rows, columns, -1)
    tenth = values.shape[-1] // 10
    values = np.partition(values, (tenth, -1 - tenth), axis=-1)
    # Whether ink is dark or light, one of these is ground.
    ends = values[..., tenth], values[..., -1 - tenth]
    return any(np.mean(np.abs(end - middle) <= _SHADOW) >= 0.9 for end in ends)


def _ground(grey: Grey, widest: float) -> Grey:
    """The brightness of the ground from what surrounds the strokes, even at a shadow's edge.

    A closing (maxima, then minima of them) covers dark parts that are at most `widest` pixels thick,
    which are strokes, and keeps thicker ones, which are shadows.
    """
    window = max(3, round(widest))
    slope = _slope(grey)  # without it, the dark end of a slope would be a dark part at the edge
    level = gaussian_blur(grey - slope, 1.0)
    return gaussian_blur(grey_closing(level, window), window / 4) + slope


def _slope(grey: Grey) -> Grey:
    """The plane nearest to the picture, but for its mean."""
    total = np.zeros_like(grey)
    for axis, side in enumerate(grey.shape):
        along = (np.arange(side, dtype=np.float32) - (side - 1) / 2).reshape(
            (-1, 1) if axis == 0 else (1, -1)
        )
        total += along * (np.mean(grey * along) / max(np.mean(along**2), 1.0))
    return total


def _without_specks(ink: Grey) -> Grey:
    """White where a connected part is smaller than the smallest dot of this picture's characters."""
    parts = connected_parts(ink < FAINTEST_INK)
    em = type_size(ink)
    if em is None or parts.count < 2:
        return ink
    is_speck = parts.areas() < (em / _EMS_PER_SPECK) ** 2
    ink[parts.mask(is_speck, ink.shape)] = 255.0
    return ink


def _cropped(ink: Grey) -> Grey:
    box = ink_box(ink < FAINTEST_INK)
    if box is None:
        raise NoInk
    short, long = sorted(ink[box].shape)
    if long < 3 or long > _MAX_ASPECT * short:
        raise NoInk
    return ink[box]
