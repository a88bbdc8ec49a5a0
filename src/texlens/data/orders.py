"""The orders in which samples are chosen: TexLens's own, and those of the qwen-ocr report.

The report's scripts (`load_datasets.py` and `convert2sharegpt.py` of Evvvvvvvva/qwen-ocr) shuffle and
split with seed 42 by Hugging Face `datasets` and by Python's `random`. Both are repeated here, so
that the rows of each split are the report's rows, up to what its filter and ours leave out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from texlens.data.corpora.base import Locator
from texlens.data.items import SPLITS, Split
from texlens.data.sampling import Order, Queues, by_hash
from texlens.errors import InputError

Numbers = NDArray[np.int64]


def _shuffled(numbers: Numbers, seed: int) -> Numbers:
    """As `Dataset.shuffle(seed)`."""
    return numbers[np.random.default_rng(seed).permutation(len(numbers))]


def _train_test_split(numbers: Numbers, test_size: float, seed: int) -> tuple[Numbers, Numbers]:
    """As `Dataset.train_test_split(test_size, seed=seed)`."""
    shuffled = _shuffled(numbers, seed)
    n_test = math.ceil(test_size * len(numbers))
    return shuffled[n_test:], shuffled[:n_test]


def qwen_ocr_printed(locators: Sequence[Locator], seed: int) -> Queues:
    """Shuffled, then split 80/10/10: each split has a queue of its own."""
    train, rest = _train_test_split(_shuffled(np.arange(len(locators)), seed), 0.2, seed)
    validation, test = _train_test_split(rest, 0.5, seed)
    source = locators[0].source if locators else ""
    parts = (train.tolist(), validation.tolist(), test.tolist())
    return {(source, split): part for split, part in zip(SPLITS, parts, strict=True)}


def qwen_ocr_handwritten(locators: Sequence[Locator], seed: int) -> Queues:
    """The training part of each source, shuffled; the splits share it.

    The report draws CROHME's rows with this seed, and HME100K's without any.
    """
    queues: dict[tuple[str, Split], list[int]] = {}
    for source in sorted({locator.source for locator in locators}):
        numbers = [
            number
            for number, locator in enumerate(locators)
            if locator.source == source and locator.split in ("train", None)
        ]
        shuffled = _shuffled(np.array(numbers, dtype=np.int64), seed).tolist()
        queues |= {(source, split): shuffled for split in SPLITS}
    return queues


@dataclass(frozen=True)
class UnimerDraw:
    """The subset's 100 pictures as the report draws them: all subsets with one generator.

    `earlier` has the sizes of the subsets that were drawn from before. What the filter leaves out is
    replaced by others, in an order of ours.
    """

    earlier: tuple[int, ...] = ()

    def __call__(self, locators: Sequence[Locator], seed: int) -> Queues:
        """The same queue for every split. Raises InputError for another corpus."""
        if any(not locator.source.startswith("unimer-") for locator in locators):
            raise InputError(
                "The orders of the report's sets out of domain are for 'unimer' alone."
            )
        random = Random(seed)
        for size in self.earlier:
            random.sample(range(size), min(_DRAWN, size))
        numbers = [n for n, locator in enumerate(locators) if locator.place[1].strip()]
        drawn = random.sample(numbers, min(_DRAWN, len(numbers)))
        rest = sorted(set(numbers) - set(drawn))
        random.shuffle(rest)
        source = locators[0].source if locators else ""
        return {(source, split): drawn + rest for split in SPLITS}


_DRAWN = 100  # pictures of each subset
_SPE = 6762  # pictures of UniMER's `spe`, the subset that the report draws from before `sce`

ORDERS: dict[str, Order] = {
    "by_hash": by_hash,
    "qwen_ocr_printed": qwen_ocr_printed,
    "qwen_ocr_handwritten": qwen_ocr_handwritten,
    "qwen_ocr_spe": UnimerDraw(),
    "qwen_ocr_sce": UnimerDraw((_SPE,)),
}
