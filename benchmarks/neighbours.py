"""Every formula against the next one in its list, by `cdm` and `layout`: does anything go wrong?

    python benchmarks/neighbours.py [--limit N] [--workers 2] [--out FILE]

The lists are those of ../shared/data/formulas (540,000 formulas). For each list it prints the pairs,
the references that cannot be rendered, the pairs whose scores are outside 0..1 or not the same in both
directions (`layout`, every hundredth pair), the references that are not perfect against themselves
(every hundredth), the time, and the slowest batch. A traceback ends the run with the batch's
first pair in the message.
"""

from __future__ import annotations

import argparse
import json
import lzma
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from texlens.metrics.batches import BatchScorer, ScoringConfig
from texlens.records import Prediction
from texlens.workers import map_in_workers

FORMULAS = Path(__file__).resolve().parents[2] / "shared" / "data" / "formulas"
KEYS = ("cdm", "exprate_cdm", "layout", "exprate_layout")
PAIRS_A_BATCH = 100


def formulas(path: Path, limit: int | None) -> Iterator[str]:
    """The formulas of a list, one a line."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from islice((line.rstrip("\n") for line in lines), limit)


def judge() -> Callable[[Sequence[tuple[str, str]]], tuple[Counter[str], float, list[str]]]:
    """A function that scores a batch: counts, seconds, and what was wrong."""
    scorer = BatchScorer(ScoringConfig(KEYS, cache=False))

    def scored(pairs: Sequence[tuple[str, str]]) -> tuple[Counter[str], float, list[str]]:
        first, second = pairs[0]
        controls = [("itself", first, first), ("reverse", second, first)]
        start = time.perf_counter()
        try:
            results = scorer.score(
                [Prediction(str(i), *pair) for i, pair in enumerate(pairs)]
                + [Prediction(name, gt, pred) for name, gt, pred in controls]
            )
        except Exception as error:  # what this script looks for
            return Counter(tracebacks=1), 0.0, [f"{type(error).__name__}: {error} in {pairs}"]
        seconds = time.perf_counter() - start
        counts, wrong = Counter(pairs=len(pairs)), []
        for (gt, pred), result in zip(pairs, results, strict=False):
            values = result.values
            counts["cdm_reference_failed"] += values["cdm"] is None
            counts["layout_reference_failed"] += values["layout"] is None
            if any(v is not None and not 0 <= v <= 1 for v in values.values()):
                wrong.append(f"outside 0..1: {values} {gt} {pred}")
        itself, reverse = results[-2].values, results[-1].values
        if any(itself[key] not in (None, 1) for key in KEYS):
            wrong.append(f"not perfect against itself: {itself} {first}")
        there, back = results[0].values["layout"], reverse["layout"]
        if there and back and abs(there - back) > 1e-12:
            wrong.append(f"not symmetric: {there} {back} {first} {second}")
        counts["wrong"] = len(wrong)
        return counts, seconds, wrong

    return scored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="formulas of each list")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where to write what was wrong, as JSON Lines")
    arguments = parser.parse_args()
    if not FORMULAS.exists():
        raise SystemExit("The lists in ../shared/data/formulas are not here: nothing to measure.")
    print(f"{platform.machine()}, Python {platform.python_version()}", flush=True)
    total: Counter[str] = Counter()
    for path in sorted(FORMULAS.iterdir(), key=lambda path: path.stat().st_size):
        pairs = list(pairwise(formulas(path, arguments.limit)))
        batches = [pairs[i : i + PAIRS_A_BATCH] for i in range(0, len(pairs), PAIRS_A_BATCH)]
        counts: Counter[str] = Counter()
        slowest, start = 0.0, time.perf_counter()
        for found, seconds, wrong in map_in_workers(judge, batches, arguments.workers):
            counts += found
            slowest = max(slowest, seconds)
            for line in wrong:
                print(f"    {line[:300]}", flush=True)
                if arguments.out:
                    with arguments.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps({"list": path.name, "wrong": line}) + "\n")
        total += counts
        print(
            f"{path.name}: {dict(counts)}, {time.perf_counter() - start:.0f} s, "
            f"slowest batch {slowest:.1f} s",
            flush=True,
        )
    print(f"all: {dict(total)}")


if __name__ == "__main__":
    main()
