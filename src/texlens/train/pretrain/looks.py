"""Looks of use on the training device: what scans, screens and cameras do, for whole batches.

The counterpart of `data.pictures.augmentation`, on canvases of ink (batch, height, width), 0 paper
and 1 ink, at the size of type of training. Each look touches a random part of the pictures, each at
its own strength, and is a few launches for the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

# Part of the changed pictures that gets each look.
CHANCES: Final[dict[str, float]] = {
    "neighbours": 0.12, "bleed_through": 0.08, "dust": 0.1, "two_levels": 0.08, "halftone": 0.05,
    "fewer_pixels": 0.4, "jpeg": 0.3, "shadow": 0.15, "highlighter": 0.08, "moire": 0.1, "glare": 0.08,
}  # fmt: skip
# How small type is scaled up again: each as often as it is named.
_WAYS_UP: Final = ("nearest", "bilinear", "bilinear", "bilinear", "bicubic", "bicubic")


def apply_looks(ink: Tensor, tops: Tensor, bottoms: Tensor, chosen: Tensor, share: float) -> Tensor:
    """Give each picture some of the looks.

    Args:
        ink: (batch, height, width), 0 paper and 1 ink.
        tops, bottoms: (batch, 1, 1), the rows between which each picture's own ink is.
        chosen: (batch, 1, 1), 1 for pictures that may change.
        share: a factor of `CHANCES`.
    """
    for name, look in LOOKS.items():
        touched = chosen * (_random(ink) < share * CHANCES[name])
        strength = touched * _random(ink)
        ink = torch.where(touched > 0, look(ink, strength, tops, bottoms), ink)
    return ink.clamp(0, 1)


def _random(ink: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.empty(len(ink), 1, 1, device=ink.device).uniform_(low, high)


def _places(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (1, height, 1) and columns (1, 1, width)."""
    rows = torch.arange(ink.shape[1], device=ink.device, dtype=torch.float32)[None, :, None]
    columns = torch.arange(ink.shape[2], device=ink.device, dtype=torch.float32)[None, None, :]
    return rows, columns


def _neighbours(ink: Tensor, strength: Tensor, tops: Tensor, bottoms: Tensor) -> Tensor:
    """Parts of other lines, cut by the edge, where a picture has free rows.

    At most 40 % of a line shows, so that nobody would read it.
    """
    other = ink.roll(1, 0)
    rows, _ = _places(ink)
    height = ink.shape[1]
    gap = 3.0
    other_tops, other_bottoms = tops.roll(1, 0), bottoms.roll(1, 0)
    most = 0.4 * strength * (other_bottoms - other_tops)
    # The other picture's lower rows above, and its upper rows below.
    above = torch.minimum((tops - gap).clamp(min=0), most) * (_random(ink) < 0.6)
    below = torch.minimum((height - bottoms - gap).clamp(min=0), most) * (_random(ink) < 0.6)
    seen_above = _rows_of(other, rows + other_bottoms - above) * (rows < above)
    seen_below = _rows_of(other, rows - height + below + other_tops) * (rows >= height - below)
    return torch.maximum(ink, torch.maximum(seen_above, seen_below))


def _rows_of(ink: Tensor, rows: Tensor) -> Tensor:
    """The rows (batch, height, 1) of each picture; outside of it there is paper."""
    index = rows.round().long()
    inside = (index >= 0) & (index < ink.shape[1])
    index = index.clamp(0, ink.shape[1] - 1).expand(-1, -1, ink.shape[2])
    return ink.gather(1, index) * inside


def _bleed_through(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """The other side of the page: another picture, mirrored, faint and soft."""
    behind = ink.roll(1, 0).flip(2)
    behind = functional.avg_pool2d(behind[:, None], 3, 1, 1)[:, 0]
    return torch.maximum(ink, behind * 0.33 * strength)


def _dust(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Specks of dirt, and holes in the ink."""
    noise = torch.rand_like(ink)
    specks = (noise < 0.001 * strength).float()
    specks = functional.max_pool2d(functional.pad(specks[:, None], (0, 1, 0, 1)), 2, 1)[:, 0]
    holes = noise > 1 - 0.001 * strength
    return torch.where(holes, 0.0, torch.maximum(ink, specks * (0.5 + 0.5 * strength)))


def _halftone(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """The dots of a cheap print."""
    rows, columns = _places(ink)
    angle, period = _random(ink, 0, math.pi / 2), _random(ink, 2.2, 4.5)
    along = angle.cos() * columns + angle.sin() * rows
    across = angle.cos() * rows - angle.sin() * columns
    wave = 2 * math.pi / period
    screen = 0.5 + 0.235 * ((wave * along).cos() + (wave * across).cos())
    dotted = torch.sigmoid((ink - screen) * 4 * (1 + 7 * strength))
    return ink + strength * (dotted - ink)


def _two_levels(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """A copy, a fax or a scan in black and white: strokes break, or run into one another."""
    soft = functional.avg_pool2d(ink[:, None], 3, 1, 1)[:, 0]
    rough = 0.4 * (torch.rand_like(ink) - 0.5)
    copied = torch.sigmoid((soft + rough - _random(ink, 0.12, 0.42)) * 24)
    return ink + strength * (copied - ink)


def _fewer_pixels(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Small type that was scaled up, with the grain of its own pixels.

    One factor for the batch: from all pixels down to 36 % of a side, 8 pixels an em.
    """
    factor = 1 - 0.64 * float(torch.rand(()))
    size = [max(2, round(side * factor)) for side in ink.shape[1:]]
    small = functional.interpolate(ink[:, None], size, mode="area")
    grain = 0.15 * _random(ink)[:, None] ** 3
    small = (small + grain * torch.randn_like(small)).clamp(0, 1)
    way = _WAYS_UP[int(torch.randint(len(_WAYS_UP), ()))]
    return functional.interpolate(small, list(ink.shape[1:]), mode=way)[:, 0].clamp(0, 1)


def _jpeg(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """JPEG's blocks and rings: the luminance table, from quality 90 down to about 15."""
    batch, height, width = ink.shape
    padded = functional.pad(ink[:, None], (0, -width % 8, 0, -height % 8), mode="replicate")[:, 0]
    tall, wide = padded.shape[1] // 8, padded.shape[2] // 8
    cosine = _cosines(ink.device)
    blocks = padded.reshape(batch, tall, 8, wide, 8).transpose(2, 3) * 255 - 128
    coefficients = cosine @ blocks @ cosine.T
    step = _TABLE.to(ink.device) * (0.2 + 3.2 * strength.reshape(-1, 1, 1, 1, 1) ** 2)
    coefficients = (coefficients / step).round() * step
    blocks = (cosine.T @ coefficients @ cosine + 128) / 255
    return blocks.transpose(2, 3).reshape(padded.shape)[:, :height, :width].clamp(0, 1)


def _cosines(device: torch.device) -> Tensor:
    """The matrix (8, 8) of the discrete cosine transform."""
    place = torch.arange(8, device=device, dtype=torch.float32)
    matrix = ((2 * place[None] + 1) * place[:, None] * math.pi / 16).cos() / 2
    matrix[0] /= math.sqrt(2)
    return matrix


# JPEG's luminance table (ITU-T T.81, annex K.1), for quality 50.
_TABLE: Final = torch.tensor(
    [[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
     [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
     [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
     [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]],
    dtype=torch.float32,
)  # fmt: skip


def _shadow(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """Uneven light: a soft edge across the picture, down to 35 % of the light."""
    rows, columns = _places(ink)
    angle = _random(ink, 0, 2 * math.pi)
    along = angle.cos() * (columns / ink.shape[2] - 0.5) + angle.sin() * (rows / ink.shape[1] - 0.5)
    edge = torch.sigmoid((along - _random(ink, -0.3, 0.3)) / _random(ink, 0.05, 0.5) * 4)
    return 1 - (1 - ink) * (1 - 0.65 * strength * edge)


def _highlighter(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """A band that is darker than the paper, over a part of the picture."""
    rows, columns = _places(ink)
    height, width = ink.shape[1:]
    band = (rows > _random(ink, -0.2, 0.4) * height) & (rows < _random(ink, 0.7, 1.2) * height)
    across = columns > _random(ink, -0.2, 0.5) * width
    across = across & (columns < _random(ink, 0.6, 1.2) * width)
    return torch.where(band & across, 1 - (1 - ink) * (1 - 0.35 * strength), ink)


def _moire(ink: Tensor, strength: Tensor, *_rows: Tensor) -> Tensor:
    """A screen's pixels against a camera's: fringes, up to a quarter of the light."""
    rows, columns = _places(ink)
    light = 1 - ink
    for _ in range(2):
        angle, period = _random(ink, 0, math.pi), _random(ink, 2.5, 14)
        bend = 4 * (rows / 60 + _random(ink, 0, 6)).sin()
        along = angle.cos() * columns + angle.sin() * rows + bend
        light = light * (1 - 0.125 * strength * (1 + (2 * math.pi * along / period).sin()))
    return 1 - light


def _glare(ink: Tensor, strength: Tensor, *_: Tensor) -> Tensor:
    """A soft bright patch that washes out the ink."""
    rows, columns = _places(ink)
    height, width = ink.shape[1:]
    tall = _random(ink, 0.3, 1.2) * max(height, 40)
    wide = _random(ink, 0.15, 0.6) * max(width, 40)
    away = ((rows - _random(ink) * height) / tall) ** 2 + (
        (columns - _random(ink) * width) / wide
    ) ** 2
    return ink * (1 - 0.7 * strength * (-away).exp())


Look = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
# In the order in which they happen.
LOOKS: Final[dict[str, Look]] = {
    "neighbours": _neighbours,
    "bleed_through": _bleed_through,
    "dust": _dust,
    "two_levels": _two_levels,
    "halftone": _halftone,
    "highlighter": _highlighter,
    "shadow": _shadow,
    "moire": _moire,
    "glare": _glare,
    "fewer_pixels": _fewer_pixels,
    "jpeg": _jpeg,
}
