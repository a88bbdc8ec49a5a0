"""The differences between systems on one set, and whether they could be chance.

All systems answered the same items, so items are paired. An item without a value in any of the
systems (its reference cannot be rendered, or a metric failed on it) is left out for all of them.

- **Interval**: paired bootstrap. Every resample chooses items with replacement, the same for all
  systems (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"; the
  resamples are those of `metrics.columns`); 2.5 to 97.5 percentile of the differences. Its
  two-sided p is twice the smaller share of resamples whose difference is at most, or at least, 0.
- **p**: approximate randomisation. Every trial exchanges the answers of the two systems on each
  item with probability 1/2; p is the share of trials whose difference is at least as large as the
  one found (Riezler and Maxwell 2005, "On Some Pitfalls in Automatic Evaluation and Significance
  Testing for MT"). One is added to both counts, so that no p is 0.
- **Holm**: for each metric that p is corrected over all pairs of systems on the set (Holm 1979,
  "A Simple Sequentially Rejective Multiple Test Procedure"). There is no correction over metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from texlens.errors import InputError
from texlens.evaluate.compare.runs import ScoredRun
from texlens.metrics.base import CorpusMetric, Floats, Metric, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.columns import Column, interval, resampled
from texlens.metrics.registry import build_metrics, goodness

SIGNIFICANT = 0.05
TRIALS = 10_000
SEED = 12345
_CELLS_AT_ONCE = 4_000_000  # of the exchanges in memory at a time: 32 MB
_ROUNDING = 1e-12  # sums of floats depend on their order


@dataclass(frozen=True, slots=True)
class Value:
    """A metric of one system over the items that all systems have a value for."""

    value: float
    ci: tuple[float, float]
    n: int


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """One system's value minus another's: 95 % interval, the three p, and the items.

    `wins` are the items on which the system is better than the other, whichever way the metric
    counts.
    """

    value: float
    ci: tuple[float, float]
    p_bootstrap: float
    p_randomisation: float
    p_holm: float
    wins: int
    losses: int
    ties: int

    def __repr__(self) -> str:
        low, high = self.ci
        return (
            f"Difference({self.value:+.4f} [{low:+.4f}, {high:+.4f}], p {self.p_holm:.4f}, "
            f"{self.wins} wins, {self.losses} losses, {self.ties} ties)"
        )

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.p_holm < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class SetStatistics:
    """All that is computed on one set.

    `values` maps (system, metric) to its value; `differences` maps (system, other system) and then
    metric to the first minus the second, for every pair in both directions; `left_out` counts for
    each metric the items without a value in some system.
    """

    values: Mapping[tuple[str, str], Value]
    differences: Mapping[tuple[str, str], Mapping[str, Difference]]
    left_out: Mapping[str, int]


def set_statistics(runs: Sequence[ScoredRun], keys: Sequence[str]) -> SetStatistics:
    """Values and differences of the runs of one set, for those of `keys` that have a value.

    Raises InputError when the runs have different items, or a value is not what its predictions
    give.
    """
    ids = sorted(runs[0].values)
    for run in runs:
        if ids != sorted(run.values):
            raise InputError(f"'{runs[0].source}' and '{run.source}' do not have the same items.")
    columns: dict[str, dict[str, Column]] = {}
    known: dict[str, NDArray[np.bool_]] = {}
    for metric in build_metrics(keys):
        for key in (key for key in metric.keys if key in keys):
            having = [run for run in runs if run.value(key) is not None]
            if not having:
                continue
            known[key] = _known(having, key, ids)
            columns[key] = {r.model: _column(r, metric, key, ids, known[key]) for r in having}
    flat = [column for by_model in columns.values() for column in by_model.values()]
    samples = iter(resampled(flat) if flat else [])
    resamples = {
        (model, key): next(samples) for key, by_model in columns.items() for model in by_model
    }
    values = {
        (run.model, key): found
        for key in columns
        for run in runs
        if run.model in columns[key]
        and (found := _value(run, key, columns[key][run.model], resamples[run.model, key], known))
    }
    differences: dict[tuple[str, str], dict[str, Difference]] = {}
    for first, second in combinations(runs, 2):
        differences[second.model, first.model] = _differences(
            first, second, columns, resamples, known, ids
        )
    differences = _corrected(differences)
    for (one, other), by_key in list(differences.items()):
        differences[other, one] = {key: _reversed(by_key[key]) for key in by_key}
    left_out = {key: int((~mask).sum()) for key, mask in known.items()}
    return SetStatistics(values, differences, left_out)


def _known(runs: Sequence[ScoredRun], key: str, ids: Sequence[str]) -> NDArray[np.bool_]:
    """Which items have a value in all runs."""
    return np.array([all(run.values[id_].get(key) is not None for run in runs) for id_ in ids])


def _value(
    run: ScoredRun,
    key: str,
    column: Column,
    resamples: Floats,
    known: Mapping[str, NDArray[np.bool_]],
) -> Value | None:
    """The value over the common items: the recorded one where these are all items it counts."""
    n, recorded = int(known[key].sum()), run.metrics[key]
    if n == recorded["n"] and recorded["ci"] is not None:
        return Value(recorded["value"], (recorded["ci"][0], recorded["ci"][1]), n)
    value = column.value()
    return None if value is None else Value(value, interval(resamples), n)


def _differences(
    first: ScoredRun,
    second: ScoredRun,
    columns: Mapping[str, Mapping[str, Column]],
    resamples: Mapping[tuple[str, str], Floats],
    known: Mapping[str, NDArray[np.bool_]],
    ids: Sequence[str],
) -> dict[str, Difference]:
    """The second run's values minus the first's, by metric; not corrected yet."""
    shared = [
        key
        for key, by_model in columns.items()
        if first.model in by_model and second.model in by_model and known[key].any()
    ]
    if not shared:
        return {}
    before = [columns[key][first.model] for key in shared]
    after = [columns[key][second.model] for key in shared]
    chance = _exchanged(before, after)
    found = {}
    for key, old, new, p in zip(shared, before, after, chance, strict=True):
        old_value, new_value = old.value(), new.value()
        if old_value is None or new_value is None:
            continue
        sampled = resamples[second.model, key] - resamples[first.model, key]
        gains = [
            goodness(key, _number(second.values[id_][key])) - goodness(key, _number(first.values[id_][key]))
            for id_, is_known in zip(ids, known[key], strict=True)
            if is_known
        ]  # fmt: skip
        wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        found[key] = Difference(
            new_value - old_value,
            interval(sampled),
            _two_sided_p(sampled),
            p,
            p,
            wins,
            losses,
            len(gains) - wins - losses,
        )
    return found


def _number(value: float | None) -> float:
    assert value is not None  # among the known items every value is a number
    return value


def _two_sided_p(resamples: Floats) -> float:
    known = resamples[~np.isnan(resamples)]
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


def _exchanged(before: Sequence[Column], after: Sequence[Column]) -> list[float]:
    """The p of approximate randomisation for every pair of columns, all over the same trials."""
    old = np.hstack([column.statistics for column in before])
    new = np.hstack([column.statistics for column in after])
    gain = new - old
    differing = gain[gain.any(axis=1)]  # exchanging equal answers changes nothing
    ends = np.cumsum([column.statistics.shape[1] for column in before])[:-1]

    def values(totals: Floats) -> list[Floats]:
        parts = np.split(totals, ends, axis=1)
        return [c.from_totals(part) for c, part in zip(before, parts, strict=True)]

    found = [
        abs(b - a)[0]
        for a, b in zip(values(old.sum(0, keepdims=True)), values(new.sum(0, keepdims=True)), strict=True)
    ]  # fmt: skip
    rng = np.random.default_rng(SEED)
    as_large = np.zeros(len(before), dtype=int)
    rows = max(1, min(TRIALS, _CELLS_AT_ONCE // max(1, len(differing))))
    for start in range(0, TRIALS, rows):
        size = min(rows, TRIALS - start)
        exchange = rng.integers(0, 2, size=(size, len(differing)), dtype=np.uint8)
        moved = exchange.astype(np.float64) @ differing
        pairs = zip(values(old.sum(0) + moved), values(new.sum(0) - moved), strict=True)
        as_large += [
            int((np.abs(b - a) >= one - _ROUNDING).sum())
            for (a, b), one in zip(pairs, found, strict=True)
        ]
    return [float(count + 1) / (TRIALS + 1) for count in as_large]


def _corrected(
    differences: Mapping[tuple[str, str], Mapping[str, Difference]],
) -> dict[tuple[str, str], dict[str, Difference]]:
    """The differences with Holm's p, over the pairs that have a value for the metric."""
    corrected = {pair: dict(found) for pair, found in differences.items()}
    for key in {key for found in differences.values() for key in found}:
        tested = [pair for pair in differences if key in differences[pair]]
        tested.sort(key=lambda pair: differences[pair][key].p_randomisation)
        least = 0.0
        for place, pair in enumerate(tested):
            p = (len(tested) - place) * differences[pair][key].p_randomisation
            least = max(least, min(1.0, p))
            corrected[pair][key] = replace(differences[pair][key], p_holm=least)
    return corrected


def _reversed(one: Difference) -> Difference:
    low, high = one.ci
    return replace(one, value=-one.value, ci=(-high, -low), wins=one.losses, losses=one.wins)


def _column(
    run: ScoredRun, metric: Metric, key: str, ids: Sequence[str], known: NDArray[np.bool_]
) -> Column:
    """The key's column in a run; items that are not known count nothing."""
    if isinstance(metric, CorpusMetric):
        column = Column.of(metric, (), _corpus_statistics(run, metric, ids))
        return Column(column.statistics * known[:, None], column.from_totals)
    values = [run.values[id_][key] if kept else None for id_, kept in zip(ids, known, strict=True)]
    return Column.of(metric, values, ())


def _corpus_statistics(
    run: ScoredRun, metric: CorpusMetric, ids: Sequence[str]
) -> list[tuple[float, ...]]:
    """The sums behind a corpus metric, which `items.jsonl` does not have, computed again.

    Raises InputError when they do not give the recorded value: another version computed it.
    """
    pairs = [Pair.of(run.predictions[id_].gt, run.predictions[id_].pred, id=id_) for id_ in ids]
    scores = metric.score_items(pairs, DrawingStore(on_disk=False))
    statistics = [score.statistics for score in scores]
    key = metric.keys[0]
    if any(run.values[id_].get(key) is None for id_ in ids):
        return statistics  # the recorded value leaves out some items
    value = Column.of(metric, (), statistics).value()
    if value is None or abs(value - run.metrics[key]["value"]) > 1e-9:
        raise InputError(
            f"The {key} of '{run.source}' is not what its predictions give: score it again."
        )
    return statistics
