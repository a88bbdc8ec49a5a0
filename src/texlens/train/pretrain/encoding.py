"""Formulas as token ids, and which tokens there are. Without torch: workers import this."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.shards import Shard, read_formulas
from texlens.latex import normalize
from texlens.model.tokenizer import TextEncoder, count_tokens


@dataclass(slots=True)
class Encoded:
    """A shard with its formulas as token ids, flat, where each begins, and how often it is drawn."""

    shard: Shard
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    weights: NDArray[np.float32]


class FormulaEncoder:
    """Shards with their formulas as token ids."""

    def __init__(self, tokenizer: Any) -> None:
        self._encoder = TextEncoder(tokenizer)

    def encode(self, shard: Shard, weights: NDArray[np.float32] | None = None) -> Encoded:
        """Tokenise the formulas of a shard. Without weights all are drawn as often."""
        rows = self._encoder.encode(shard.formulas)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum()))
        if weights is None:
            weights = np.ones(len(rows), np.float32)
        return Encoded(shard, flat, np.cumsum(lengths) - lengths, lengths, weights)


def shard_counter() -> Callable[[Path], Counter[str]]:
    """Counts the LaTeX tokens of a shard's formulas; for `map_in_workers`."""
    return lambda path: count_tokens(read_formulas(path))


def raw_counter() -> Callable[[list[str]], Counter[str]]:
    """Counts the LaTeX tokens of formulas that are not in normal form; for `map_in_workers`."""
    return lambda formulas: count_tokens(map(normalize, formulas))
