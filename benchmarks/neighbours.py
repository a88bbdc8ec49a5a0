"""Every formula against the next one in its list, by `cdm` and `layout`: does anything go wrong?

    python benchmarks/neighbours.py [--limit N] [--lists NAME ...] [--workers 2] [--out FILE]

The lists are those of ../shared/data/formulas (540,000 formulas). For each list it prints the number of
pairs, of pairs without a value (the reference cannot be rendered) and with 1, what is wrong, and the time.
Wrong is a score outside 0..1, and of every hundredth pair a reference that is not perfect against itself or
a `layout` that is not the same in both directions. A traceback ends the run.
"""

from __future__ import annotations

import argparse
import json
import lzma
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from texlens.metrics.batches import ItemResult, ScoringConfig, score_batches
from texlens.records import Prediction

FORMULAS = Path(__file__).resolve().parents[2] / "shared" / "data" / "formulas"
KEYS = ("cdm", "exprate_cdm", "layout", "exprate_layout")
CONTROL_EVERY = 100


def formulas(path: Path, limit: int | None) -> Iterator[str]:
    """The formulas of a list, one a line."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from islice((line.rstrip("\n") for line in lines), limit)


def with_controls(pairs: Sequence[tuple[str, str]]) -> Iterator[Prediction]:
    """Every pair; for every hundredth also its reference against itself, and the pair reversed."""
    for number, (first, second) in enumerate(pairs):
        yield Prediction("pair", first, second)
        if number % CONTROL_EVERY == 0:
            yield Prediction("itself", first, first)
            yield Prediction("reverse", second, first)


def wrong(prediction: Prediction, result: ItemResult, pair: ItemResult) -> str | None:
    """What is wrong with a result; `pair` is that of the pair before its controls."""
    values = result.values
    if any(value is not None and not 0 <= value <= 1 for value in values.values()):
        return f"outside 0..1: {values}"
    if prediction.id == "itself" and any(value not in (None, 1) for value in values.values()):
        return f"not perfect against itself: {values}"
    there, back = pair.values["layout"], values["layout"]
    if prediction.id == "reverse" and there and back and abs(there - back) > 1e-12:
        return f"not symmetric: {there} {back}"
    return None


def judge(pairs: Sequence[tuple[str, str]], workers: int) -> tuple[Counter[str], list[str]]:
    """Counts over a list, and what was wrong."""
    counts: Counter[str] = Counter()
    mistakes = []
    predictions = list(with_controls(pairs))
    results = score_batches(predictions, ScoringConfig(KEYS, cache=False), workers=workers)
    pair: ItemResult | None = None
    for prediction, result in zip(predictions, results, strict=True):
        if prediction.id == "pair":
            pair = result
            counts["pairs"] += 1
            for key in ("cdm", "layout"):
                counts[f"{key}_without_value"] += result.values[key] is None
                counts[f"{key}_1"] += result.values[key] == 1
        assert pair is not None
        if mistake := wrong(prediction, result, pair):
            mistakes.append(f"{mistake} {prediction.gt} {prediction.pred}")
    counts["wrong"] = len(mistakes)
    return counts, mistakes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="formulas of each list")
    parser.add_argument("--lists", nargs="*", help="parts of their names; all by default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where to write what was wrong, as JSON Lines")
    arguments = parser.parse_args()
    if not FORMULAS.exists():
        raise SystemExit("The lists in ../shared/data/formulas are not here: nothing to measure.")
    print(f"{platform.machine()}, Python {platform.python_version()}", flush=True)
    total: Counter[str] = Counter()
    for path in sorted(FORMULAS.iterdir(), key=lambda path: path.stat().st_size):
        if arguments.lists and not any(part in path.name for part in arguments.lists):
            continue
        pairs = list(pairwise(formulas(path, arguments.limit)))
        start = time.perf_counter()
        counts, mistakes = judge(pairs, arguments.workers)
        for mistake in mistakes:
            print(f"    {mistake[:300]}", flush=True)
            if arguments.out:
                with arguments.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({"list": path.name, "wrong": mistake}) + "\n")
        total += counts
        seconds = time.perf_counter() - start
        print(f"{path.name}: {dict(counts)}, {seconds:.0f} s", flush=True)
    print(f"all: {dict(total)}")


if __name__ == "__main__":
    main()
