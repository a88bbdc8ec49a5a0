"""Scoring of single items, batch by batch, in this process or in several.

A batch goes through all metrics at once, so that they share its normal forms and drawings. No
value depends on the batch, its neighbours or the process, so the number of workers cannot matter.

A fault is a failure of ours: a metric raised an error, or its process ended or hung. It gives the item no
value and a warning that begins with the code `fault`, and the run goes on. What a formula cannot do is
no fault: the metrics score it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path

from texlens.errors import DiskFull
from texlens.metrics.base import CdmEngine, Drawings, ItemScore, Match, Metric, Pair
from texlens.metrics.cache import DrawingStore, cache_works
from texlens.metrics.registry import build_metrics, require_metrics
from texlens.records import Prediction
from texlens.runs import provenance, write_json_lines
from texlens.workers import WorkerFault, Workers, as_workers

PAIRS_PER_BATCH = 64
_PAIRS_KEPT = 2048  # in a file
VERSIONS = ("mini-racer", "numpy", "rapidfuzz", "sacrebleu", "rouge-score", "scipy")
"""The packages that values depend on."""
FAULT = "fault"
"""The code with which the warning of a fault begins."""


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """The keys to compute, in order; the engine of `cdm`; whether to use the cache on disk.

    Raises MissingExtra where a library that a metric needs is not installed.
    """

    keys: tuple[str, ...]
    cdm_engine: CdmEngine = "mathjax"
    cache: bool = True

    def __post_init__(self) -> None:
        require_metrics(self.keys)


@dataclass(frozen=True, slots=True)
class ItemResult:
    """All results for one prediction.

    `values` has the keys of the configuration; `statistics` those of corpus metrics; `tokens` and `lines`
    measure the reference: its LaTeX tokens, and the rows of its largest environment. `faults` are
    the keys that have no value because of a fault.
    """

    values: dict[str, float | None]
    warnings: tuple[str, ...]
    statistics: dict[str, tuple[float, ...]]
    tokens: int
    lines: int
    faults: tuple[str, ...] = ()


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
        try:
            pairs = [Pair.of(p.gt, p.pred, id=p.id, extra=p.extra) for p in predictions]
        except Exception as error:
            if len(predictions) > 1:
                return [self.score([prediction])[0] for prediction in predictions]
            return [faulty(self.config, _described(error))]
        by_metric = [_score_items(metric, pairs, self.drawings) for metric in self.metrics]
        return [
            self._merge(pair, [scores[i] for scores in by_metric]) for i, pair in enumerate(pairs)
        ]

    def explain(self, prediction: Prediction) -> dict[str, Match]:
        """The matching behind every drawing metric of the configuration, by its first key."""
        pair = Pair.of(prediction.gt, prediction.pred, id=prediction.id, extra=prediction.extra)
        matches = {m.keys[0]: m.explain(pair, self.drawings) for m in self.metrics}
        return {key: match for key, match in matches.items() if match is not None}

    def _merge(self, pair: Pair, scores: Sequence[ItemScore | Exception]) -> ItemResult:
        found: dict[str, float | None] = {}
        warnings: list[str] = []
        statistics: dict[str, tuple[float, ...]] = {}
        faults: list[str] = []
        for metric, score in zip(self.metrics, scores, strict=True):
            if isinstance(score, Exception):
                faults += [key for key in metric.keys if key in self.config.keys]
                warnings.append(f"{FAULT}: {metric.keys[0]}: {_described(score)}")
                continue
            found |= score.values
            warnings += score.warnings
            if score.statistics:
                statistics[metric.keys[0]] = score.statistics
        values = {key: found.get(key) for key in self.config.keys}
        tokens, once = pair.gt_tokens, tuple(dict.fromkeys(warnings))
        return ItemResult(values, once, statistics, len(tokens), _lines(tokens), tuple(faults))


def _score_items(
    metric: Metric, pairs: Sequence[Pair], drawings: Drawings
) -> list[ItemScore | Exception]:
    """The scores of a metric; where it raises an error, that of each pair that it fails on."""
    try:
        return list(metric.score_items(pairs, drawings))
    except DiskFull:
        raise
    except Exception as error:
        if len(pairs) == 1:
            return [error]
    return [_score_items(metric, [pair], drawings)[0] for pair in pairs]


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def faulty(config: ScoringConfig, reason: str) -> ItemResult:
    """The result of an item that has no value at all because of a fault."""
    nothing = dict.fromkeys(config.keys)
    return ItemResult(nothing, (f"{FAULT}: {reason}",), {}, 0, 1, config.keys)


def score_batches(
    predictions: Sequence[Prediction],
    config: ScoringConfig,
    *,
    workers: int | Workers = 1,
    keep: Path | None = None,
) -> Iterator[ItemResult]:
    """One result a prediction, in order, computed by `workers`; a single batch in this process.

    With `keep`, the results are kept in that folder, part by part, and taken from there the next time.

    Raises TexlensError when no worker process can be started.
    """
    if len(predictions) <= PAIRS_PER_BATCH:
        yield from BatchScorer(config).score(predictions)
        return
    parts = _split(predictions, _PAIRS_KEPT)
    files = [
        None if keep is None else keep / _part_name(n, part, config) for n, part in enumerate(parts)
    ]
    there = [file is not None and file.exists() for file in files]
    batches = (
        batch
        for part, is_there in zip(parts, there, strict=True)
        if not is_there
        for batch in _split(part, PAIRS_PER_BATCH)
    )
    make = partial(_batch_scorer, replace(config, cache=config.cache and cache_works()))
    done: Iterator[list[ItemResult | WorkerFault]] = as_workers(workers).map_batches(make, batches)
    scored = chain.from_iterable(done)
    for part, file, is_there in zip(parts, files, there, strict=True):
        if is_there and file is not None:
            yield from _kept(file)
            continue
        results: list[ItemResult] = []
        for result in islice(scored, len(part)):
            if isinstance(result, WorkerFault):
                result = faulty(config, f"the item {result}")
            results.append(result)
            yield result
        if file is not None:
            write_json_lines(file, map(asdict, results))


def _split(predictions: Sequence[Prediction], size: int) -> list[Sequence[Prediction]]:
    return [predictions[start : start + size] for start in range(0, len(predictions), size)]


def _part_name(number: int, part: Sequence[Prediction], config: ScoringConfig) -> str:
    """A name with a digest of all that the results of a part depend on."""
    settings = (config.keys, config.cdm_engine, _versions())
    content = repr((settings, part)).encode(errors="surrogatepass")
    return f"scored-{number:05d}-{hashlib.blake2b(content, digest_size=8).hexdigest()}.jsonl"


@cache
def _versions() -> dict[str, str]:
    return provenance(*VERSIONS)


def _kept(file: Path) -> Iterator[ItemResult]:
    for line in file.read_bytes().splitlines():
        record = json.loads(line)
        yield ItemResult(
            **record
            | {
                "warnings": tuple(record["warnings"]),
                "statistics": {key: tuple(one) for key, one in record["statistics"].items()},
                "faults": tuple(record["faults"]),
            }
        )


def _batch_scorer(config: ScoringConfig) -> Callable[[Sequence[Prediction]], list[ItemResult]]:
    # This runs in a worker. The process that started it has warned already.
    warnings.filterwarnings("ignore", message="The cache ")
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
