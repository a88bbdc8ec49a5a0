"""Scoring a corpus: every metric over all pairs, with intervals, signatures and a breakdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texlens.errors import InputError, TexlensError
from texlens.metrics.base import (
    BOOTSTRAP_SIGNATURE,
    CdmEngine,
    CorpusMetric,
    Floats,
    Metric,
    interval,
    resampled_totals,
)
from texlens.metrics.batches import BatchScorer, ItemResult, Plan, score_batches
from texlens.metrics.registry import build_metrics, check_keys
from texlens.records import Prediction, Score
from texlens.runs import progress

SELF_TEST_SAMPLE = 20
MAX_UNDRAWABLE_SHARE = 0.01

# Upper ends of the groups of the breakdown.
_TOKEN_GROUPS = (10, 25, 50, 100, 200)
_LINE_GROUPS = (1, 2, 5)
_ARRAY_GROUPS = ((0, "none"), (1, "array, matrix, cases or the like"))


@dataclass(frozen=True, slots=True)
class Group:
    """One row of the breakdown: `n` items of a kind, and the value of each metric over them."""

    name: str
    n: int
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Scoring:
    """The result of scoring a corpus.

    `items` stand in the order of `predictions`; `breakdown` maps `length`, `lines`, `arrays` and,
    where the predictions name them, `source` and `kind` to their groups; `warnings` concern the run
    as a whole.
    """

    scores: dict[str, Score]
    predictions: tuple[Prediction, ...]
    items: tuple[ItemResult, ...]
    breakdown: dict[str, tuple[Group, ...]]
    warnings: tuple[str, ...]


def score(
    pairs: Iterable[tuple[str, str] | Mapping[str, object] | Prediction],
    metrics: Sequence[str] | None = None,
    *,
    workers: int = 1,
    cdm_engine: CdmEngine = "mathjax",
    cache: bool = True,
) -> dict[str, Score]:
    """Score predictions against the reference.

    Args:
        pairs: each a tuple (reference, prediction), a mapping with `gt` and `pred`, or a `Prediction`.
        metrics: the keys to compute (`texlens.metrics.registry.KEYS`); all when None.
        workers: how many processes share the work; more than one needs the usual
            `if __name__ == "__main__":` in a script.
        cdm_engine: what draws for `cdm`: `mathjax`, or `tex` where TeX is installed.
        cache: whether drawings are kept on disk for the next time.

    Returns:
        A `Score` for every key, in the order of the tables; values lie in 0..1.

    Raises:
        InputError: a pair or a key is not what it should be, or there is no pair.
    """
    predictions = [_as_prediction(number, pair) for number, pair in enumerate(pairs)]
    plan = Plan(check_keys(metrics), cdm_engine, cache)
    return score_predictions(predictions, plan, workers=workers, quiet=True).scores


def score_predictions(
    predictions: Sequence[Prediction],
    plan: Plan,
    *,
    workers: int = 1,
    self_test: bool = False,
    quiet: bool = False,
) -> Scoring:
    """Score predictions with a progress bar, and find out where they are good and bad.

    With `self_test`, references of a sample must first score perfectly against themselves.

    Raises InputError when there is no prediction, TexlensError when the self-test fails.
    """
    if not predictions:
        raise InputError("There is nothing to score.")
    if self_test:
        run_self_test(predictions, plan)
    results = tuple(
        progress(
            score_batches(predictions, plan, workers=workers),
            total=len(predictions), unit="pairs", quiet=quiet,
        )
    )  # fmt: skip
    metrics = build_metrics(plan.keys, cdm_engine=plan.cdm_engine)
    columns = [
        _Column.of(metric, key, results)
        for metric in metrics
        for key in metric.keys
        if key in plan.keys
    ]
    # Sums of floats and a seeded resampling depend on the order of the items: both see them in an
    # order of their own, so that the order of the file cannot change a result.
    order = sorted(range(len(results)), key=lambda i: _sort_key(predictions[i]))
    scores = _scores(columns, results, np.array(order))
    return Scoring(
        {key: scores[key] for key in plan.keys},
        tuple(predictions),
        results,
        _breakdown(columns, predictions, results, order),
        tuple(_run_warnings(metrics, scores, len(results))),
    )


def run_self_test(predictions: Sequence[Prediction], plan: Plan) -> None:
    """Score references of a sample, evenly spread over the file, against themselves.

    Raises TexlensError when a drawable reference is not perfect by a metric that compares.
    """
    step = max(1, len(predictions) // SELF_TEST_SAMPLE)
    sample = predictions[::step][:SELF_TEST_SAMPLE]
    scorer = BatchScorer(plan)
    perfect = {
        key: 0.0 if metric.lower_is_better else 1.0
        for metric in scorer.metrics
        for key in metric.keys
        if key in plan.keys and not metric.judges_prediction_alone
    }
    results = scorer.score([Prediction(p.id, p.gt, p.gt) for p in sample])
    for prediction, result in zip(sample, results, strict=True):
        for key, best in perfect.items():
            value = result.values[key]
            if value is not None and value != best:
                raise TexlensError(
                    f"The self-test failed: the reference of '{prediction.id}' against itself has "
                    f"{key} {value:.4g}, not {best:.0f}. Nothing was scored; please report it."
                )


@dataclass(frozen=True, slots=True)
class _Column:
    """A key's statistics, shape (items, statistics), and what makes values of their sums."""

    metric: Metric
    key: str
    statistics: Floats
    from_totals: Callable[[Floats], Floats]

    @classmethod
    def of(cls, metric: Metric, key: str, results: Sequence[ItemResult]) -> _Column:
        if isinstance(metric, CorpusMetric):
            return cls(
                metric, key, np.array([r.statistics[key] for r in results]), metric.from_totals
            )
        values = [result.values[key] for result in results]
        counted = [(0.0, 0.0) if value is None else (value, 1.0) for value in values]
        return cls(metric, key, np.array(counted), _mean)

    def value(self, items: NDArray[np.intp]) -> float | None:
        value = float(self.from_totals(self.statistics[items].sum(axis=0, keepdims=True))[0])
        return None if np.isnan(value) else value


def _mean(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # no item counts: NaN, which `_Column.value` reads
        mean: Floats = totals[:, 0] / totals[:, 1]
    return mean


def _scores(
    columns: Sequence[_Column], results: Sequence[ItemResult], order: NDArray[np.intp]
) -> dict[str, Score]:
    totals = resampled_totals(np.hstack([column.statistics for column in columns])[order])
    scores: dict[str, Score] = {}
    start = 0
    for column in columns:
        width = column.statistics.shape[1]
        value = column.value(order)
        items = tuple(result.values[column.key] for result in results)
        n = sum(item is not None for item in items)
        unavailable = column.metric.unavailable() is not None
        resampled = column.from_totals(totals[:, start : start + width])
        start += width
        scores[column.key] = Score(
            key=column.key,
            value=value,
            n=n,
            n_truth_failed=0 if unavailable else len(items) - n,
            ci=None if value is None else interval(resampled),
            signature=f"{column.metric.signature(column.key)}|{BOOTSTRAP_SIGNATURE}",
            items=items,
            value_lower=None if value is None else value * n / len(items),
        )
    return scores


def _breakdown(
    columns: Sequence[_Column],
    predictions: Sequence[Prediction],
    results: Sequence[ItemResult],
    order: Sequence[int],
) -> dict[str, tuple[Group, ...]]:
    kinds = {
        "length": [_interval_name(result.tokens, _TOKEN_GROUPS) for result in results],
        "lines": [_interval_name(result.lines, _LINE_GROUPS) for result in results],
        "arrays": [_ARRAY_GROUPS[r"\begin" in prediction.gt] for prediction in predictions],
    }
    for field in ("source", "kind"):
        named = [str(p.extra.get(field) or "") for p in predictions]
        if any(named):
            kinds[field] = [(0, name or "(none)") for name in named]
    breakdown: dict[str, tuple[Group, ...]] = {}
    for kind, names in kinds.items():
        members: dict[tuple[int, str], list[int]] = {}
        for i in order:
            members.setdefault(names[i], []).append(i)
        breakdown[kind] = tuple(
            Group(name[1], len(items), {c.key: c.value(np.array(items)) for c in columns})
            for name, items in sorted(members.items())
        )
    return breakdown


def _interval_name(number: int, upper_ends: Sequence[int]) -> tuple[int, str]:
    """The group a number falls in: its place among the groups, and its name."""
    lower = 1
    for place, upper in enumerate(upper_ends):
        if number <= upper:
            return place, str(upper) if lower == upper else f"{lower}-{upper}"
        lower = upper + 1
    return len(upper_ends), f"{lower}+"


def _run_warnings(metrics: Sequence[Metric], scores: Mapping[str, Score], n: int) -> Iterable[str]:
    for metric in metrics:
        if reason := metric.unavailable():
            yield f"No value for {', '.join(metric.keys)}: {reason}."
    failed = max((score.n_truth_failed for score in scores.values()), default=0)
    if failed > MAX_UNDRAWABLE_SHARE * n:
        yield (
            f"{failed} of {n} references ({failed / n:.1%}) cannot be drawn and do not count in the "
            "metrics that draw: see the warnings in items.jsonl."
        )


def _as_prediction(number: int, pair: object) -> Prediction:
    if isinstance(pair, Prediction):
        return pair
    if isinstance(pair, Mapping):
        if not {"gt", "pred"} <= pair.keys():
            raise InputError(f"Pair {number} lacks 'gt' or 'pred'.")
        gt, pred, id_ = pair["gt"], pair["pred"], str(pair.get("id", number))
        extra = {k: v for k, v in pair.items() if k not in ("id", "gt", "pred")}
    elif isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        (gt, pred), id_, extra = pair, str(number), {}
    else:
        raise InputError(
            f"Pair {number} is neither (reference, prediction) nor has 'gt' and 'pred'."
        )
    if not isinstance(gt, str) or not isinstance(pred, str):
        raise InputError(f"Pair {number} holds something that is not a text.")
    return Prediction(id_, gt, pred, extra)


def _sort_key(prediction: Prediction) -> tuple[str, str, str]:
    return prediction.gt, prediction.pred, prediction.id
