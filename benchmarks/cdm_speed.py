"""How fast and how large are `cdm` and `layout` together, with nothing cached?

    python benchmarks/cdm_speed.py PREDICTIONS.jsonl [--pairs 8000] [--memory-pairs 50000]

Prints pairs a second of one process for a quarter of the pairs and for all of them (is the time
linear?), two workers against one with their start, and the largest memory of a worker. The file's
pairs are repeated with a running index appended, so that no formula comes twice. Processor time
is printed beside the clock: on a machine that others use it is the fairer figure for one process.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from pathlib import Path

from texlens.metrics.batches import PAIRS_PER_BATCH, BatchScorer, ScoringConfig, score_batches
from texlens.metrics.predictions import read_predictions
from texlens.records import Prediction

CONFIG = ScoringConfig(("cdm", "exprate_cdm", "layout", "exprate_layout"), cache=False)


def distinct(predictions: list[Prediction], n: int) -> list[Prediction]:
    """`n` pairs without a repeated formula: each is one of the file's, and an index."""
    made = []
    for i in range(n):
        p = predictions[i % len(predictions)]
        index = f" _ {{ {i // len(predictions)} }}"
        made.append(Prediction(str(i), f"{p.gt} x{index}", f"{p.pred} x{index}"))
    return made


def one_process(pairs: list[Prediction]) -> tuple[float, float]:
    """Seconds by the clock and of the processor, the engine being warm."""
    scorer = BatchScorer(CONFIG)
    scorer.score(pairs[:PAIRS_PER_BATCH])
    clock, processor = time.perf_counter(), time.process_time()
    for start in range(PAIRS_PER_BATCH, len(pairs), PAIRS_PER_BATCH):
        scorer.score(pairs[start : start + PAIRS_PER_BATCH])
    return time.perf_counter() - clock, time.process_time() - processor


def with_workers(pairs: list[Prediction], workers: int) -> float:
    """Seconds by the clock, with the start of the workers."""
    start = time.perf_counter()
    for _ in score_batches(pairs, CONFIG, workers=workers):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--pairs", type=int, default=8000)
    parser.add_argument("--memory-pairs", type=int, default=50_000)
    arguments = parser.parse_args()
    predictions = read_predictions(arguments.predictions)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}"
    )
    pairs = distinct(predictions, arguments.pairs)
    for some in (pairs[: len(pairs) // 4], pairs):
        clock, processor = one_process(some)
        n = len(some) - PAIRS_PER_BATCH
        print(
            f"{n:6} pairs, one process: {n / clock:6.0f} pairs/s, {n / processor:6.0f} a CPU second"
        )
    one, two = with_workers(pairs, 1), with_workers(pairs, 2)
    print(f"{len(pairs):6} pairs: one worker {one:.1f} s, two {two:.1f} s: {one / two:.2f} times")
    if arguments.memory_pairs:
        seconds = with_workers(distinct(predictions, arguments.memory_pairs), 2)
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{arguments.memory_pairs:6} pairs, two workers: {seconds:.0f} s, "
            f"the larger worker needed {largest:.0f} MB"
        )


if __name__ == "__main__":
    main()
