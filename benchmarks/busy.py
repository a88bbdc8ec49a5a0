"""Do scores depend on what else the machine does?

    python benchmarks/busy.py PREDICTIONS.jsonl [--busy 4] [--workers 2]

Scores the file, then again with so many processes beside that do nothing but count, without a cache
on disk. Prints how many items differ in a value, a warning or a statistic, and the faults. Beside the
file's pairs there are slow ones, within the limits and beyond.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from texlens.metrics.batches import ItemResult, ScoringConfig, score_batches
from texlens.metrics.predictions import read_predictions
from texlens.metrics.registry import KEYS
from texlens.records import Prediction

SLOW = {
    "arrows": r"\ce{" + "->" * 3_000 + "}",
    "colours": r"\color{red}" * 90 + "x",
    "too many colours": r"\color{red}" * 180 + "x",
    "deep": r"\underbrace{" * 99 + "x" + "}" * 99,
    "too deep": r"\underbrace{" * 101 + "x" + "}" * 101,
    "cells": r"\begin{array}{c}" + "x&" * 2_000 + r"\end{array}",
    "long": "x+" * 1_450,
    "too long": "x+" * 11_000,
    "expands": r"\newcommand{\x}[1]{\x{#1#1}}\x{aaaaaaaaaaaa}",
}


def score(pairs: list[Prediction], workers: int) -> tuple[list[ItemResult], float]:
    """The results, and the seconds that they took."""
    config = ScoringConfig(tuple(key for key in KEYS if key != "compiles"), cache=False)
    start = time.perf_counter()
    return list(score_batches(pairs, config, workers=workers)), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--busy", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    pairs = read_predictions(arguments.predictions)
    for name, latex in SLOW.items():
        pairs.append(Prediction(f"slow prediction: {name}", pairs[0].gt, latex))
        pairs.append(Prediction(f"slow reference: {name}", latex, pairs[0].gt))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}; {len(pairs)} pairs"
    )
    alone, seconds = score(pairs, arguments.workers)
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)
    ]
    try:
        beside, more_seconds = score(pairs, arguments.workers)
    finally:
        for process in busy:
            process.kill()
    print(f"alone {seconds:.0f} s, beside {arguments.busy} busy processes {more_seconds:.0f} s")
    print(f"items that differ: {sum(a != b for a, b in zip(alone, beside, strict=True))}")
    print(
        f"items with a fault: {sum(bool(r.faults) for r in alone)}, {sum(bool(r.faults) for r in beside)}"
    )


if __name__ == "__main__":
    main()
