"""Scoring of single items, batch by batch, in this process or in several.

A batch goes through all metrics at once, so that they share its normal forms and drawings. No
value depends on the batch, its neighbours or the process, so the number of workers cannot matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from texlens.metrics.base import CdmEngine, Drawings, ItemScore, Match, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.registry import build_metrics
from texlens.records import Prediction
from texlens.workers import map_in_workers

PAIRS_PER_BATCH = 64


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """The keys to compute, in order; the engine of `cdm`; whether to use the cache on disk."""

    keys: tuple[str, ...]
    cdm_engine: CdmEngine = "mathjax"
    cache: bool = True


@dataclass(frozen=True, slots=True)
class ItemResult:
    """All results for one prediction.

    `values` has the keys of the configuration; `statistics` those of corpus metrics; `tokens` and `lines`
    measure the reference: its LaTeX tokens, and the rows of its largest environment.
    """

    values: dict[str, float | None]
    warnings: tuple[str, ...]
    statistics: dict[str, tuple[float, ...]]
    tokens: int
    lines: int


class BatchScorer:
    """The metrics of a configuration, ready to score batches in this process."""

    def __init__(self, config: ScoringConfig) -> None:
        self.config = config
        self.metrics = [
            metric
            for metric in build_metrics(config.keys, cdm_engine=config.cdm_engine)
            if metric.unavailable() is None
        ]
        self.drawings: Drawings = DrawingStore(on_disk=config.cache)

    def score(self, predictions: Sequence[Prediction]) -> list[ItemResult]:
        """One result a prediction, in order."""
        pairs = [Pair.of(p.gt, p.pred, id=p.id, extra=p.extra) for p in predictions]
        by_metric = [metric.score_items(pairs, self.drawings) for metric in self.metrics]
        return [
            self._merge(pair, [scores[i] for scores in by_metric]) for i, pair in enumerate(pairs)
        ]

    def explain(self, prediction: Prediction) -> dict[str, Match]:
        """The matching behind every drawing metric of the configuration, by its first key."""
        pair = Pair.of(prediction.gt, prediction.pred, id=prediction.id, extra=prediction.extra)
        matches = {m.keys[0]: m.explain(pair, self.drawings) for m in self.metrics}
        return {key: match for key, match in matches.items() if match is not None}

    def _merge(self, pair: Pair, scores: Sequence[ItemScore]) -> ItemResult:
        found = {key: value for score in scores for key, value in score.values.items()}
        values = {key: found.get(key) for key in self.config.keys}
        warnings = dict.fromkeys(warning for score in scores for warning in score.warnings)
        statistics = {
            metric.keys[0]: score.statistics
            for metric, score in zip(self.metrics, scores, strict=True)
            if score.statistics
        }
        tokens = pair.gt_tokens
        return ItemResult(values, tuple(warnings), statistics, len(tokens), _lines(tokens))


def score_batches(
    predictions: Sequence[Prediction], config: ScoringConfig, *, workers: int = 1
) -> Iterator[ItemResult]:
    """One result a prediction, in order, computed by `workers` processes.

    Raises TexlensError when a worker process dies.
    """
    batches = [
        predictions[start : start + PAIRS_PER_BATCH]
        for start in range(0, len(predictions), PAIRS_PER_BATCH)
    ]
    make = partial(_batch_scorer, config)
    for results in map_in_workers(make, batches, min(workers, len(batches))):
        yield from results


def _batch_scorer(config: ScoringConfig) -> Callable[[Sequence[Prediction]], list[ItemResult]]:
    return BatchScorer(config).score


def _lines(tokens: Sequence[str]) -> int:
    """The rows of the largest environment of a formula; 1 without any."""
    most = 1
    rows: list[int] = []  # of the environments open at this token
    for i, token in enumerate(tokens):
        if token.startswith(r"\begin{"):
            rows.append(1)
        elif token.startswith(r"\end{") and rows:
            most = max(most, rows.pop())
        elif token.startswith("\\\\") and rows:
            last = i + 1 < len(tokens) and tokens[i + 1].startswith(r"\end{")
            rows[-1] += not last
    return most
