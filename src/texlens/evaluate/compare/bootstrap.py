"""The difference between a run and the base, with a paired bootstrap over the items of both.

Every resample chooses items with replacement, the same for both runs, and compares the two values
over them (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"; the
resamples are those of `metrics.columns`). The interval is the 2.5 to 97.5 percentile of the
differences. The two-sided p is twice the smaller share of resamples whose difference is at most, or
at least, 0; one is added to both counts, so that p is never 0. Items without a value in either run
do not count. There is no correction for testing several metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from texlens.errors import InputError
from texlens.evaluate.compare.runs import EvaluatedRun
from texlens.metrics.base import CorpusMetric, Floats, Metric, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.columns import Column, interval, resampled
from texlens.metrics.registry import build_metrics

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """A run's value minus the base's, with its 95 % interval and its p."""

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
    """The difference of a run from the base by metric; None where either has no value.

    Raises InputError when the two did not read the same items.
    """
    ids = sorted(base.values)
    if ids != sorted(run.values):
        raise InputError(f"'{base.folder}' and '{run.folder}' did not read the same items.")
    found: dict[str, Difference | None] = dict.fromkeys(keys)
    columns = {
        key: _columns(metric, key, base, run, ids)
        for metric in build_metrics(keys)
        for key in metric.keys
        if key in keys and base.value(key) is not None and run.value(key) is not None
    }
    if not columns:
        return found
    resamples = resampled([column for both in columns.values() for column in both])
    for key, old, new in zip(columns, resamples[::2], resamples[1::2], strict=True):
        before, after = (column.value() for column in columns[key])
        if before is not None and after is not None:
            found[key] = Difference(after - before, interval(new - old), _two_sided_p(new - old))
    return found


def _two_sided_p(resamples: Floats) -> float:
    known = resamples[~np.isnan(resamples)]
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


def _columns(
    metric: Metric, key: str, base: EvaluatedRun, run: EvaluatedRun, ids: Sequence[str]
) -> list[Column]:
    """The key's column in both runs, over the items that have a value in both."""
    values = [[one.values[id_].get(key) for id_ in ids] for one in (base, run)]
    known = [None not in item for item in zip(*values, strict=True)]
    return [
        Column.of(
            metric,
            [value if both else None for value, both in zip(column, known, strict=True)],
            _corpus_statistics(one, metric, ids) if isinstance(metric, CorpusMetric) else (),
        )
        for one, column in zip((base, run), values, strict=True)
    ]


def _corpus_statistics(
    run: EvaluatedRun, metric: CorpusMetric, ids: Sequence[str]
) -> list[tuple[float, ...]]:
    """The sums behind a corpus metric, which `items.jsonl` does not have, computed again.

    Raises InputError when they do not give the recorded value: another version computed it.
    """
    pairs = [Pair.of(run.predictions[id_].gt, run.predictions[id_].pred, id=id_) for id_ in ids]
    scores = metric.score_items(pairs, DrawingStore(on_disk=False))
    statistics = [score.statistics for score in scores]
    value = Column.of(metric, (), statistics).value()
    key = metric.keys[0]
    if value is None or abs(value - run.metrics[key]["value"]) > 1e-9:
        raise InputError(
            f"The {key} of '{run.folder}' is not what its predictions give: evaluate it again."
        )
    return statistics
