"""The pictures of a training run: all of them on the training device, changed at each use.

A picture is some ten kilobytes of grey values, so a million of them fit on one GPU. There they are
scaled, placed, turned, inked and blurred anew each time one is used, at no cost to the CPU.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from texlens.data.pictures.shards import Shard
from texlens.train.pretrain.looks import apply_looks
from texlens.train.pretrain.settings import Augmentation

_MARGIN = 4  # pixels of paper at least, at the model's scale, on each side


class PicturePool:
    """Grey values of all pictures in one tensor on the device, with what `augmented` needs to know.

    It takes at most `capacity_gib`, and no more than half of a GPU's memory or a quarter of the
    machine's.
    """

    def __init__(self, device: torch.device, capacity_gib: float) -> None:
        self.device = device
        self.capacity = min(int(capacity_gib * 2**30), _room(device))
        self.used = 0
        # On a CPU the system hands out memory page by page, as it is written to.
        self.pixels = torch.empty(self.capacity, dtype=torch.uint8, device=device)
        self.offsets = torch.empty(0, dtype=torch.int64, device=device)
        self.heights = torch.empty(0, dtype=torch.float32, device=device)
        self.widths = torch.empty(0, dtype=torch.float32, device=device)
        self.pixels_per_em = torch.empty(0, dtype=torch.float32, device=device)

    def add(self, shard: Shard) -> bool:
        """Append a shard's pictures; False, and nothing is added, when there is no room."""
        size = len(shard.pixels)
        if self.used + size > self.capacity:
            return False
        self.pixels[self.used : self.used + size] = torch.from_numpy(shard.pixels).to(self.device)
        areas = shard.heights * shard.widths
        offsets = self.used + np.cumsum(areas) - areas
        for name, values in (
            ("offsets", offsets),
            ("heights", shard.heights),
            ("widths", shard.widths),
            ("pixels_per_em", shard.pixels_per_em),
        ):
            old: Tensor = getattr(self, name)
            more = torch.from_numpy(values).to(old.dtype).to(self.device)
            setattr(self, name, torch.cat([old, more]))
        self.used += size
        return True


def _room(device: torch.device) -> int:
    """Bytes of a device that pictures may take."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // 2
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, ValueError):  # Windows
        return 4 * 2**30


def augmented(
    pool: PicturePool,
    chosen: Tensor,
    height: int,
    width: int,
    pixels_per_em: float,
    change: Augmentation | None,
) -> Tensor:
    """Put pictures of the pool on canvases of one size, changed at random.

    `chosen`: indices (batch,); `height`, `width`: of the canvas, in pixels; `pixels_per_em`: the
    size of type on the canvas; `change`: None places them as they are, in the middle.

    Returns the normalised pixels (batch, height, width): 0 is white, -2 black.
    """
    batch, device = len(chosen), pool.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(batch, 1, 1, device=device).uniform_(low, high)

    heights, widths = pool.heights[chosen, None, None], pool.widths[chosen, None, None]
    offsets = pool.offsets[chosen, None, None]
    scale = pixels_per_em / pool.pixels_per_em[chosen, None, None]
    touched = torch.ones(batch, 1, 1, device=device)
    if change is not None:
        touched = (uniform(0, 1) >= change.untouched).float()
        reach = float(np.log(change.scale))
        scale = scale * uniform(-reach, reach).exp()
    fits = torch.minimum((height - 2 * _MARGIN) / heights, (width - 2 * _MARGIN) / widths)
    scale = torch.minimum(scale, fits)
    free_y = height - 2 * _MARGIN - heights * scale
    free_x = width - 2 * _MARGIN - widths * scale
    if change is not None:
        top, left = _MARGIN + free_y * uniform(0, 1), _MARGIN + free_x * uniform(0, 1)
        angle = touched * uniform(-1, 1) * float(np.radians(change.rotation_degrees))
    else:
        top, left = _MARGIN + free_y / 2, _MARGIN + free_x / 2
        angle = torch.zeros_like(top)

    # Where each pixel of the canvas lies in its source picture; turned about the middle.
    y = torch.arange(height, device=device, dtype=torch.float32)[None, :, None] + 0.5
    x = torch.arange(width, device=device, dtype=torch.float32)[None, None, :] + 0.5
    middle_y, middle_x = top + heights * scale / 2, left + widths * scale / 2
    off_y, off_x = y - middle_y, x - middle_x
    if change is not None and change.keystone:
        # One side of the page is nearer: it is larger by up to this part.
        away = 1 + touched * uniform(-1, 1) * change.keystone * off_x / (widths * scale)
        off_y = off_y * away
    from_y = (off_y - off_x * angle) / scale + heights / 2 - 0.5
    from_x = (off_x + off_y * angle) / scale + widths / 2 - 0.5

    low_y, low_x = from_y.floor(), from_x.floor()
    part_y, part_x = from_y - low_y, from_x - low_x
    ink = torch.zeros(batch, height, width, device=device)
    for step_y in (0, 1):
        for step_x in (0, 1):
            at_y, at_x = low_y + step_y, low_x + step_x
            inside = (at_y >= 0) & (at_y < heights) & (at_x >= 0) & (at_x < widths)
            # In integers: a float32 cannot count the pixels of the pool.
            place = offsets + (at_y.long() * widths.long() + at_x.long())
            value = pool.pixels[torch.where(inside, place, 0)].float()
            weight = (part_y if step_y else 1 - part_y) * (part_x if step_x else 1 - part_x)
            ink = ink + torch.where(inside, (255 - value) * weight, 0.0)
    ink = ink / 255
    if change is not None:
        if change.looks:
            ink = apply_looks(ink, top, top + heights * scale, touched, change.looks)
        ink = _soften(ink, touched * uniform(0, 1) * change.blur_pixels)
        low, high = (float(np.log(value)) for value in change.ink_gamma)
        gamma = (touched * uniform(low, high)).exp()
        ink = 1 - (1 - ink).clamp(1e-4, 1) ** gamma
        fade = touched * uniform(0, 1) ** 2 * change.fade
        ink = ink * (1 - fade) + touched * uniform(0, 1) ** 2 * change.fade / 2 * (1 - ink)
        grain = touched * uniform(0, 1) ** 2 * change.noise
        ink = (ink + torch.randn_like(ink) * grain).clamp(0, 1)
    return -2 * ink


def _soften(ink: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian blur of two pixels' reach, of a width of its own for each picture."""
    width = 2 * sigma.clamp(min=0.05) ** 2
    near, far = (-1 / width).exp(), (-4 / width).exp()
    total = 1 + 2 * near + 2 * far
    for axis in ((2, 2, 0, 0), (0, 0, 2, 2)):
        wide = functional.pad(ink, axis)
        along = 2 if axis[0] else 1
        size = ink.shape[along]
        ink = (
            wide.narrow(along, 2, size)
            + near * (wide.narrow(along, 1, size) + wide.narrow(along, 3, size))
            + far * (wide.narrow(along, 0, size) + wide.narrow(along, 4, size))
        ) / total
    return ink
