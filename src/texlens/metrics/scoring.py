"""Scoring a corpus: every metric over all pairs, with intervals, signatures and a breakdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from texlens.errors import InputError, TexlensError
from texlens.metrics.base import CdmEngine, Metric
from texlens.metrics.batches import BatchScorer, ItemResult, ScoringConfig, score_batches
from texlens.metrics.columns import BOOTSTRAP_SIGNATURE, Column, interval, resampled
from texlens.metrics.predictions import prediction_of
from texlens.metrics.registry import build_metrics, check_keys
from texlens.records import Prediction, Score
from texlens.results import Scores
from texlens.runs import in_notebook
from texlens.runs import progress as progress_bar
from texlens.workers import Workers

SELF_TEST_SAMPLE = 20
MANY = 100
"""From so many pairs on, a call in a notebook shows its progress."""
MAX_UNDRAWABLE_SHARE = 0.01
MAX_FAULT_SHARE = 0.001
"""A scoring with a greater share of faults has failed."""

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

    `items` are in the order of `predictions`; `breakdown` maps `length`, `lines`, `arrays` and,
    where the predictions name them, `source` and `kind` to their groups; `warnings` concern the run
    as a whole.
    """

    scores: Scores
    predictions: tuple[Prediction, ...]
    items: tuple[ItemResult, ...]
    breakdown: dict[str, tuple[Group, ...]]
    warnings: tuple[str, ...]

    def check_faults(self) -> None:
        """Raise TexlensError where more than 1 item in 1,000 has a fault of TexLens.

        A command calls it last: what was scored is written all the same.
        """
        faults = max(score.n_faults for score in self.scores.values())
        if faults > MAX_FAULT_SHARE * len(self.items):
            raise TexlensError(
                f"{faults} of {len(self.items)} items have no value in a metric because of faults of "
                "TexLens, more than 1 in 1,000; please report the first warning with 'fault' in "
                "items.jsonl."
            )


Pairs = tuple[str, str] | Mapping[str, object] | Prediction
"""A pair to score: (reference, prediction), a mapping with `gt` and `pred`, or a prediction."""


def score(
    pairs: Iterable[Pairs],
    metrics: Sequence[str] | str | None = None,
    *,
    workers: int = 1,
    cdm_engine: CdmEngine = "mathjax",
    cache: bool = True,
    progress: bool | None = None,
) -> Scores:
    """Score predictions against the reference.

    Args:
        pairs: each a tuple (reference, prediction), a mapping with `gt` and `pred`, or a `Prediction`.
        metrics: the keys to compute (`texlens.metrics.registry.KEYS`); all when None.
        workers: how many processes share the work.
        cdm_engine: what draws for `cdm`: `mathjax`, or `tex` where TeX is installed.
        cache: whether drawings are kept on disk for the next time.
        progress: whether to show a bar; None: in a notebook, for many pairs.

    Returns:
        A `Score` for every key, in the order of the tables; values are in 0..1.

    Raises:
        TypeError: an argument is of the wrong type.
        InputError: a pair or a key is wrong, or there is no pair.
    """
    if metrics is not None and not isinstance(metrics, Sequence):
        raise TypeError(f"metrics must be keys, not {type(metrics).__name__}.")
    predictions = as_predictions(pairs)
    config = ScoringConfig(check_keys(metrics), cdm_engine, cache)
    quiet = not shows_progress(progress, len(predictions))
    return score_predictions(predictions, config, workers=workers, quiet=quiet).scores


def shows_progress(wanted: bool | None, items: int) -> bool:
    """Whether a call of the library shows a bar: as wanted, else in a notebook for many items."""
    return items >= MANY and in_notebook() if wanted is None else wanted


def score_predictions(
    predictions: Sequence[Prediction],
    config: ScoringConfig,
    *,
    workers: int | Workers = 1,
    self_test: bool = False,
    quiet: bool = False,
    keep: Path | None = None,
) -> Scoring:
    """Score predictions with a progress bar, and break the values down by groups of items.

    With `self_test`, a sample of references must first score perfectly against themselves. In the
    folder `keep` results are kept for a run that is cut short.

    Raises InputError when there is no prediction, TexlensError when the self-test fails.
    """
    if not predictions:
        raise InputError("There is nothing to score.")
    if self_test:
        run_self_test(predictions, config)
    results = tuple(
        progress_bar(
            score_batches(predictions, config, workers=workers, keep=keep),
            total=len(predictions), unit="pairs", quiet=quiet,
        )
    )  # fmt: skip
    metrics = {
        key: metric
        for metric in build_metrics(config.keys, cdm_engine=config.cdm_engine)
        for key in metric.keys
        if key in config.keys
    }
    # Sums of floats and a seeded resampling depend on the order of the items. Both get the items
    # in sorted order, so that the order of the file cannot change a result.
    order = sorted(range(len(results)), key=lambda i: _sort_key(predictions[i]))
    ordered = [results[i] for i in order]
    columns = {
        key: Column.of(
            metric, [r.values[key] for r in ordered], [r.statistics.get(key, ()) for r in ordered]
        )
        for key, metric in metrics.items()
    }
    scores = _scores(columns, metrics, results)
    return Scoring(
        Scores({key: scores[key] for key in config.keys}),
        tuple(predictions),
        results,
        _breakdown(columns, [predictions[i] for i in order], ordered),
        tuple(_run_warnings(metrics, scores, len(results))),
    )


def run_self_test(predictions: Sequence[Prediction], config: ScoringConfig) -> None:
    """Score a sample of references, evenly spread over the file, against themselves.

    Raises TexlensError when a drawable reference is not perfect by a metric that compares.
    """
    step = max(1, len(predictions) // SELF_TEST_SAMPLE)
    sample = predictions[::step][:SELF_TEST_SAMPLE]
    scorer = BatchScorer(config)
    perfect = {
        key: 0.0 if metric.lower_is_better else 1.0
        for metric in scorer.metrics
        for key in metric.keys
        if key in config.keys and not metric.judges_prediction_alone
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


def _scores(
    columns: Mapping[str, Column], metrics: Mapping[str, Metric], results: Sequence[ItemResult]
) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    for (key, column), values in zip(
        columns.items(), resampled(list(columns.values())), strict=True
    ):
        value = column.value()
        items = tuple(result.values[key] for result in results)
        n = sum(item is not None for item in items)
        faults = sum(key in result.faults for result in results)
        counted = len(items) - faults
        scores[key] = Score(
            key=key,
            value=value,
            n=n,
            n_truth_failed=0 if metrics[key].unavailable() else counted - n,
            ci=None if value is None else interval(values),
            signature=f"{metrics[key].signature(key)}|{BOOTSTRAP_SIGNATURE}",
            items=items,
            value_lower=None if value is None else value * n / counted,
            n_faults=faults,
        )
    return scores


def _breakdown(
    columns: Mapping[str, Column],
    predictions: Sequence[Prediction],
    results: Sequence[ItemResult],
) -> dict[str, tuple[Group, ...]]:
    """The groups of each kind; all three arguments have the items in the same order."""
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
        for i, name in enumerate(names):
            members.setdefault(name, []).append(i)
        breakdown[kind] = tuple(
            Group(name, len(items), {key: c.value(items) for key, c in columns.items()})
            for (_, name), items in sorted(members.items())
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


def _run_warnings(
    metrics: Mapping[str, Metric], scores: Mapping[str, Score], n: int
) -> Iterable[str]:
    for metric in dict.fromkeys(metrics.values()):
        if reason := metric.unavailable():
            yield f"No value for {', '.join(metric.keys)}: {reason}."
    for key, score in scores.items():
        if score.n_faults:
            yield (
                f"{score.n_faults} of {n} items have no {key} because of faults of TexLens: see "
                "'fault' in the warnings of items.jsonl."
            )
    failed = max((score.n_truth_failed for score in scores.values()), default=0)
    if failed > MAX_UNDRAWABLE_SHARE * n:
        yield (
            f"{failed} of {n} references ({failed / n:.1%}) cannot be drawn and do not count in the "
            "metrics that draw: see the warnings in items.jsonl."
        )


def as_predictions(pairs: Iterable[Pairs]) -> list[Prediction]:
    """The pairs as predictions, numbered where they have no id.

    Raises TypeError for what holds no pairs, InputError for a wrong pair.
    """
    if isinstance(pairs, str | Mapping) or not isinstance(pairs, Iterable):
        raise TypeError(
            f"pairs must be (reference, prediction) tuples, not one {type(pairs).__name__}."
        )
    return [_as_prediction(number, pair) for number, pair in enumerate(pairs)]


def _as_prediction(number: int, pair: object) -> Prediction:
    if isinstance(pair, Prediction):
        return pair
    where = f"Pair {number}"
    if isinstance(pair, Mapping):
        return prediction_of(where, {**pair, "id": str(pair.get("id", number))})
    if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        return prediction_of(where, {"id": str(number), "gt": pair[0], "pred": pair[1]})
    raise InputError(
        f"{where} is neither (reference, prediction) nor has 'gt' and 'pred' (two lists are given as "
        "zip(references, predictions))."
    )


def _sort_key(prediction: Prediction) -> tuple[str, str, str]:
    return prediction.gt, prediction.pred, prediction.id
