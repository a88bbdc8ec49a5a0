"""The values of one key over many items, and bootstrap resamples of them.

Scoring uses it for the interval of a value, comparing for the interval of a difference. A value
is a function of sums over items, so that a resample of all items costs one matrix product
(Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texlens.metrics.base import CorpusMetric, Floats, Metric

BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 12345
BOOTSTRAP_SIGNATURE = f"bs:{BOOTSTRAP_RESAMPLES}|seed:{BOOTSTRAP_SEED}"
_COUNTS_AT_ONCE = 4_000_000  # cells of the resampling matrix in memory at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Column:
    """The statistics of a key, shape (items, statistics), and the function from sums to values."""

    statistics: Floats
    from_totals: Callable[[Floats], Floats]

    @classmethod
    def of(
        cls,
        metric: Metric,
        values: Sequence[float | None],
        statistics: Sequence[Sequence[float]],
    ) -> Column:
        """The column of a key: of its values, or for a corpus metric of its statistics."""
        width = max(map(len, statistics), default=0)
        if isinstance(metric, CorpusMetric) and width:
            # An item without statistics, because of a fault, adds nothing.
            rows = [tuple(row) or (0.0,) * width for row in statistics]
            return cls(np.array(rows), metric.from_totals)
        counted = [(0.0, 0.0) if value is None else (value, 1.0) for value in values]
        return cls(np.array(counted), _mean)

    def value(self, items: Sequence[int] | NDArray[np.intp] | slice = slice(None)) -> float | None:
        """The value over some items, by default all; None where none of them has a value."""
        value = float(self.from_totals(self.statistics[items].sum(axis=0, keepdims=True))[0])
        return None if np.isnan(value) else value


def _mean(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # 0/0 where no item counts: NaN
        mean: Floats = totals[:, 0] / totals[:, 1]
    return mean


def resampled(columns: Sequence[Column]) -> list[Floats]:
    """The values of each column over the same resamples of items, shape (BOOTSTRAP_RESAMPLES,)."""
    totals = resampled_totals(np.hstack([column.statistics for column in columns]))
    ends = np.cumsum([column.statistics.shape[1] for column in columns])
    parts = np.split(totals, ends[:-1], axis=1)
    return [column.from_totals(part) for column, part in zip(columns, parts, strict=True)]


def resampled_totals(statistics: Floats) -> Floats:
    """Sums over bootstrap resamples of items: shape (BOOTSTRAP_RESAMPLES, statistics).

    `statistics` has shape (items, statistics). A resample has as many items as there are, sampled
    with replacement.
    """
    n, width = statistics.shape
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    totals = np.empty((BOOTSTRAP_RESAMPLES, width))
    rows = max(1, min(BOOTSTRAP_RESAMPLES, _COUNTS_AT_ONCE // n))
    for start in range(0, BOOTSTRAP_RESAMPLES, rows):
        size = min(rows, BOOTSTRAP_RESAMPLES - start)
        sampled = rng.integers(0, n, size=(size, n))
        sampled += np.arange(size)[:, None] * n
        counts = np.bincount(sampled.ravel(), minlength=size * n).reshape(size, n)
        totals[start : start + size] = counts @ statistics
    return totals


def interval(values: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap values; NaN marks resamples without an item."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)
