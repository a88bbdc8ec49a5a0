"""Is a run better than the base, or was it luck? Paired bootstrap over the items both have read.

Every resample draws items with replacement, the same for both runs, and compares the two values
over them (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"; the
resampling is that of the metrics' own intervals). The interval is the 2.5 to 97.5 percentile of the
differences. The two-sided p is twice the smaller share of resamples whose difference is at most, or
at least, 0; one is added above and below, so that p is never 0. Items without a value in either run
count in neither. No correction is made for asking of many metrics at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from texlens.errors import InputError
from texlens.evaluate.compare.runs import EvaluatedRun
from texlens.metrics.base import (
    CorpusMetric,
    Floats,
    Metric,
    Pair,
    interval,
    resampled_totals,
)
from texlens.metrics.cache import DrawingStore
from texlens.metrics.registry import build_metrics

SIGNIFICANT = 0.05

Runs = tuple[EvaluatedRun, EvaluatedRun]


@dataclass(frozen=True, slots=True)
class Difference:
    """A run's value less the base's: with its 95 % interval, and p of no difference."""

    value: float
    ci: tuple[float, float]
    p: float

    @property
    def significant(self) -> bool:
        """Whether p is below 0.05."""
        return self.p < SIGNIFICANT


def differences(
    base: EvaluatedRun, run: EvaluatedRun, keys: Sequence[str]
) -> dict[str, Difference | None]:
    """How a run differs from the base by each metric; None where either has no value.

    Raises InputError when the two did not read the same items.
    """
    ids = sorted(base.values)
    if ids != sorted(run.values):
        raise InputError(f"'{base.folder}' and '{run.folder}' did not read the same items.")
    found: dict[str, Difference | None] = dict.fromkeys(keys)
    columns = {
        key: _column(metric, key, (base, run), ids)
        for metric in build_metrics(keys)
        for key in metric.keys
        if key in keys and all(_has_value(one, key) for one in (base, run))
    }
    if not columns:
        return found
    statistics = np.hstack([side for c in columns.values() for side in (c.base, c.run)])
    # The sums over all items first, then those over each resample.
    totals = np.vstack([statistics.sum(axis=0), resampled_totals(statistics)])
    start = 0
    for key, column in columns.items():
        middle, end = start + column.width, start + 2 * column.width
        difference = column.from_totals(totals[:, middle:end]) - column.from_totals(
            totals[:, start:middle]
        )
        start = end
        if not np.isnan(difference[0]):
            resampled = difference[1:]
            found[key] = Difference(
                float(difference[0]), interval(resampled), _two_sided_p(resampled)
            )
    return found


def _has_value(run: EvaluatedRun, key: str) -> bool:
    return run.metrics.get(key, {}).get("value") is not None


def _two_sided_p(resampled: Floats) -> float:
    known = resampled[~np.isnan(resampled)]
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


@dataclass(frozen=True, slots=True)
class _Column:
    """What one metric's values are made of, in both runs: arrays of shape (items, statistics)."""

    base: Floats
    run: Floats
    from_totals: Callable[[Floats], Floats]

    @property
    def width(self) -> int:
        return int(self.base.shape[1])


def _column(metric: Metric, key: str, pair: Runs, ids: Sequence[str]) -> _Column:
    if isinstance(metric, CorpusMetric):
        base, run = (_corpus_statistics(one, metric, ids) for one in pair)
        return _Column(base, run, metric.from_totals)
    values = [[one.values[id_].get(key) for id_ in ids] for one in pair]
    both = [all(value is not None for value in item) for item in zip(*values, strict=True)]
    base, run = (
        np.array([(v, 1.0) if known else (0.0, 0.0) for v, known in zip(one, both, strict=True)])
        for one in values
    )
    return _Column(base, run, _mean)


def _corpus_statistics(run: EvaluatedRun, metric: CorpusMetric, ids: Sequence[str]) -> Floats:
    """The sums behind a corpus metric, which are not in `items.jsonl`, counted again.

    Raises InputError when they do not give the value on record: another version computed it.
    """
    pairs = [Pair.of(run.predictions[id_].gt, run.predictions[id_].pred, id=id_) for id_ in ids]
    scores = metric.score_items(pairs, DrawingStore(on_disk=False))
    statistics: Floats = np.array([score.statistics for score in scores])
    value = float(metric.from_totals(statistics.sum(axis=0, keepdims=True))[0])
    key = metric.keys[0]
    if abs(value - run.metrics[key]["value"]) > 1e-9:
        raise InputError(
            f"The {key} of '{run.folder}' is not what its predictions give: evaluate it again."
        )
    return statistics


def _mean(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # a resample in which no item counts: NaN
        mean: Floats = totals[:, 0] / totals[:, 1]
    return mean
