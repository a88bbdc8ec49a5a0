"""Batches of supervised fine-tuning: examples of similar length together, the loss on the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from texlens.errors import TexlensError
from texlens.model.load import Loaded
from texlens.model.prompt import Prompt
from texlens.reading.decoding.positions import prompt_positions
from texlens.reading.pictures.opening import open_picture
from texlens.train.data.prepared import FineTuningData
from texlens.train.data.vision_features import VisionFeatures
from texlens.train.network.graphed import padded_length
from texlens.train.sft.augmentation import PictureAugmenter

IGNORED = -100  # the label of a token without loss
_STEPS_SORTED_TOGETHER = 50


class LengthGroupedSampler(Sampler[int]):
    """The order of an epoch's examples: shuffled, with examples of similar length in one step.

    Files without a mixing ratio give every example once, the others as many as their ratio asks
    for, different ones in each epoch. The order depends only on seed and epoch, so that a resumed
    run has the same.
    """

    def __init__(
        self,
        lengths: NDArray[np.int32],
        files: NDArray[np.int32],
        mixing_ratios: Sequence[float | None],
        *,
        examples_per_step: int,
        seed: int,
    ) -> None:
        self.lengths = lengths
        self.examples_per_step, self.seed, self.epoch = examples_per_step, seed, 0
        places = [np.flatnonzero(files == file) for file in range(len(mixing_ratios))]
        by_file = list(zip(places, mixing_ratios, strict=True))
        self.whole = np.concatenate([places for places, ratio in by_file if ratio is None])
        room = 1 - sum(ratio or 0.0 for ratio in mixing_ratios)
        self.mixed_in = [
            (places, round(ratio * len(self.whole) / room))
            for places, ratio in by_file
            if ratio is not None
        ]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; accelerate's data loader calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.whole) + sum(count for _, count in self.mixed_in)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())

    def order(self) -> NDArray[np.int64]:
        """The examples of the epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        parts = [self.whole]
        for places, count in self.mixed_in:
            rounds = [random.permutation(places) for _ in range(-(-count // len(places)))]
            parts.append(np.concatenate([*rounds, places[:0]])[:count])
        order = random.permutation(np.concatenate(parts))
        together = self.examples_per_step * _STEPS_SORTED_TOGETHER
        steps: list[NDArray[np.int64]] = []
        for start in range(0, len(order), together):
            block = order[start : start + together]
            block = block[np.argsort(self.lengths[block], kind="stable")]
            steps += np.split(
                block, range(self.examples_per_step, len(block), self.examples_per_step)
            )
        # A last step that is not full stays the last: others would be torn apart behind it.
        full = [step for step in steps if len(step) == self.examples_per_step]
        rest = [step for step in steps if len(step) < self.examples_per_step]
        return np.concatenate([*(full[i] for i in random.permutation(len(full))), *rest])

    def padding(self, batch_size: int) -> float:
        """The part of an epoch's tokens that is padding, in batches of this size."""
        lengths = self.lengths[self.order()]
        batches = np.split(lengths, range(batch_size, len(lengths), batch_size))
        computed = sum(int(part.max()) * len(part) for part in batches)
        return 1 - float(lengths.sum()) / computed


class AnswerCollator:
    """Examples to the tensors of a batch: prompt, visual tokens and answer, padded on the right.

    Only the answer and its end token have labels. It opens the pictures, or reads their `features`,
    so that it can run in the data loader's processes, ahead of need. An augmented picture can have
    other visual tokens than the picture itself.
    """

    def __init__(
        self,
        loaded: Loaded,
        prompt: Prompt,
        *,
        augmenter: PictureAugmenter | None = None,
        features: VisionFeatures | None = None,
    ) -> None:
        self.augmenter, self.features = augmenter, features
        processor = loaded.processor
        self.image_processor = processor.image_processor
        self.size = {
            "shortest_edge": loaded.prompt_config.min_pixels,
            "longest_edge": loaded.prompt_config.max_pixels,
        }
        self.before, self.after = list(prompt.before), list(prompt.after)
        self.image_token = int(processor.image_token_id)
        self.pad = int(processor.tokenizer.pad_token_id)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The batch of these rows of a `FineTuningData` table.

        `input_ids` and `labels`, each (batch, longest); `position_ids` (3, batch, longest); and
        `visual_features` (visual tokens of all pictures, width), or `pixel_values` (patches of all
        pictures, values) and `image_grid_thw` (batch, 3). There is no mask: padding stands on the
        right, where causal attention never looks. Positions are found here, in the data loader's
        processes, since the network finds them picture by picture.
        """
        visible, grids = self._visible(rows)
        sequences = []
        for row, grid in zip(rows, grids, strict=True):
            visual = [self.image_token] * (grid[0] * grid[1])
            sequences.append([*self.before, *visual, *self.after, *row["answer"]])
        longest = padded_length(max(map(len, sequences)))
        ids = np.full((len(rows), longest), self.pad, dtype=np.int64)
        labels = np.full_like(ids, IGNORED)
        positions = np.zeros((3, *ids.shape), dtype=np.int64)
        for place, (row, grid, sequence) in enumerate(zip(rows, grids, sequences, strict=True)):
            start = len(sequence) - len(row["answer"])
            ids[place, : len(sequence)] = sequence
            after = len(self.after) + len(row["answer"])
            positions[:, place, : len(sequence)] = prompt_positions(
                len(self.before), grid[0], grid[1], after
            )
            labels[place, start : len(sequence)] = row["answer"]
        return {
            "input_ids": torch.from_numpy(ids),
            "position_ids": torch.from_numpy(positions),
            "labels": torch.from_numpy(labels),
        } | visible

    def _visible(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, Tensor], list[list[int]]]:
        """What the network sees of the pictures, and the rows and columns of their visual tokens."""
        expected = [[row["rows"], row["columns"]] for row in rows]
        if self.features is not None:
            seen = torch.cat([self.features[row["place"]] for row in rows])
            return {"visual_features": seen}, expected
        pictures = [open_picture(row["picture"]) for row in rows]
        if self.augmenter is not None:
            pictures = self.augmenter(pictures, [row["id"] for row in rows])
        processed = self.image_processor(images=pictures, size=self.size, return_tensors="pt")
        grids = (processed["image_grid_thw"][:, 1:] // self.image_processor.merge_size).tolist()
        for row, grid, size in zip(rows, grids, expected, strict=True):
            if self.augmenter is None and grid != size:
                raise TexlensError(
                    f"The picture of '{row['id']}' has {grid[0]} x {grid[1]} visual tokens, but "
                    f"{size[0]} x {size[1]} were expected; please report this."
                )
        return {key: processed[key] for key in ("pixel_values", "image_grid_thw")}, grids


def check_batches(collator: AnswerCollator, data: FineTuningData) -> None:
    """Collate the shortest, the longest and some other examples, before a run starts.

    Raises TexlensError when a picture has another number of visual tokens than was computed for it.
    """
    count = len(data.lengths)
    chosen = {
        int(data.lengths.argmin()),
        int(data.lengths.argmax()),
        *range(0, count, count // 8 + 1),
    }
    for place in sorted(chosen):
        collator([data.table[place]])
