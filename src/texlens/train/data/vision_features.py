"""The output of a frozen vision tower, computed once for each picture and kept in a memory-mapped file.

While vision tower and merger are frozen, a picture's visual tokens are the same in every step and
every epoch. Computed for many pictures at a time they cost a fraction of what they cost inside a
step of eight, and later epochs and runs read them: some 180 KB for a line of print and the 3B.

    CACHE/prepared/vision-KEY/features.bin   (visual tokens of all examples, width), in the order of the examples
    CACHE/prepared/vision-KEY/features.json  written last
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from texlens.errors import InputError
from texlens.metrics.cache import cache_folder
from texlens.model.load import Loaded
from texlens.reading.pictures.opening import open_picture
from texlens.runs import progress, read_json, write_json
from texlens.train.data.prepared import FineTuningData, column
from texlens.train.network.adapters import base_model

_FEATURES, _RECORD = "features.bin", "features.json"
_TOKENS_AT_A_TIME = 4096  # visual tokens of one pass


@dataclass(frozen=True, slots=True)
class VisionFeatures:
    """The visual tokens of a run's examples.

    Attributes:
        path: the file.
        starts: where each example's tokens begin in it (examples + 1).
        width: of a token.
        dtype: of its values, a name in torch.
    """

    path: Path
    starts: NDArray[np.int64]
    width: int
    dtype: str

    def __getitem__(self, place: int) -> Tensor:
        """The visual tokens (tokens, width) of the example at this place of the table."""
        kind: torch.dtype = getattr(torch, self.dtype)
        size, start = kind.itemsize * self.width, int(self.starts[place])
        count = int(self.starts[place + 1]) - start
        content = np.fromfile(self.path, np.uint8, count * size, offset=start * size)
        return torch.from_numpy(content).view(kind).view(count, self.width)


def vision_features(loaded: Loaded, data: FineTuningData, *, quiet: bool = False) -> VisionFeatures:
    """Compute the visual tokens of all examples with the network's vision tower, or find them computed.

    Raises:
        InputError: the disk has no room for them.
    """
    base = base_model(loaded.model)
    tokens = column(data.table, "rows").astype(np.int64) * column(data.table, "columns")
    starts = np.concatenate([[0], np.cumsum(tokens)])
    width, kind = int(base.config.vision_config.out_hidden_size), base.model.visual.dtype
    folder = cache_folder() / "prepared" / f"vision-{_key(base, loaded, data)}"
    dtype = str(kind).removeprefix("torch.")
    features = VisionFeatures(folder / _FEATURES, starts, width, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / _RECORD).is_file():
            needed = int(starts[-1]) * width * kind.itemsize
            if shutil.disk_usage(folder).free < needed * 1.05:
                raise InputError(
                    f"The features of {len(tokens)} pictures take {needed / 2**30:.1f} GiB, more than "
                    f"'{folder.parent}' has room for: set TEXLENS_CACHE to another disk, or "
                    "cache_vision_features to false."
                )
            _write(loaded, data, features, quiet=quiet)
            record = {"pictures": len(tokens), "tokens": int(starts[-1]), "width": width}
            write_json(folder / _RECORD, record | {"dtype": dtype})
    read_json(folder / _RECORD)
    return features


@torch.no_grad()
def _write(loaded: Loaded, data: FineTuningData, features: VisionFeatures, *, quiet: bool) -> None:
    """Compute all features, pictures of like size together, and write each to its place."""
    base = base_model(loaded.model)
    processor = loaded.processor.image_processor
    size = {
        "shortest_edge": loaded.prompt_config.min_pixels,
        "longest_edge": loaded.prompt_config.max_pixels,
    }
    counts = np.diff(features.starts)
    value = getattr(torch, features.dtype).itemsize * features.width
    bar = progress(_batches(counts), total=None, unit="batches of features", quiet=quiet)
    with features.path.open("wb") as stream:
        for places in bar:
            pictures = [open_picture(data.table[int(place)]["picture"]) for place in places]
            processed = processor(images=pictures, size=size, return_tensors="pt")
            output = base.model.get_image_features(
                processed["pixel_values"].to(base.device),
                processed["image_grid_thw"].to(base.device),
                return_dict=True,
            ).pooler_output
            found = torch.cat(list(output)).cpu().contiguous().view(torch.uint8).numpy()
            ends = np.cumsum(counts[places])
            for place, start, end in zip(places, ends - counts[places], ends, strict=True):
                stream.seek(int(features.starts[place]) * value)
                stream.write(found[start:end].tobytes())


def _batches(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places of examples with about as many visual tokens each, so many at a time as fill a pass."""
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, _TOKENS_AT_A_TIME // int(counts[order[start]]))
        yield order[start : start + size]
        start += size


def _key(base: Any, loaded: Loaded, data: FineTuningData) -> str:
    """A hash of all that decides the features: examples, limits of pixels, weights of the tower."""
    weights = [[name, float(p.double().sum())] for name, p in base.model.visual.named_parameters()]
    document = {
        "examples": data.record["sha256"],
        "max_length": data.record["tokens"]["max_length"],
        "rows": [file["rows"] for file in data.record["files"]],
        "pixels": [loaded.prompt_config.min_pixels, loaded.prompt_config.max_pixels],
        "pixels_per_em": loaded.prompt_config.pixels_per_em,
        "processor": loaded.processor.image_processor.to_dict(),
        "dtype": str(base.model.visual.dtype),
        "weights": weights,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[
        :32
    ]
