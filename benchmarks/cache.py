"""Is reading a drawing from the disk cache faster than drawing it? Prints the ratio.

    python benchmarks/cache.py PREDICTIONS.jsonl

Draws every formula of the file with an empty cache, then with the full one, alternately five
times, and takes the fastest of each.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from texlens.latex import formula_of
from texlens.metrics.cache import DrawingStore
from texlens.metrics.predictions import read_predictions

REPEATS = 5


def seconds(store: DrawingStore, formulas: list[str]) -> float:
    start = time.perf_counter()
    store.draw(formulas)
    return time.perf_counter() - start


def main() -> None:
    predictions = read_predictions(Path(sys.argv[1]))
    formulas = list(dict.fromkeys(formula_of(text) for p in predictions for text in (p.gt, p.pred)))
    drawing, writing, reading = [], [], []
    DrawingStore(on_disk=False).draw(formulas[:200])  # warm
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TEXLENS_CACHE"] = folder
            drawing.append(seconds(DrawingStore(on_disk=False), formulas))
            writing.append(seconds(DrawingStore(), formulas))
            reading.append(seconds(DrawingStore(), formulas))
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
    n = len(formulas)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{n} distinct formulas, {size / n:.0f} bytes each on disk, fastest of {REPEATS}")
    for name, times in (("draw", drawing), ("draw and write", writing), ("read", reading)):
        print(f"{name:<14}{1000 * min(times) / n:8.3f} ms a formula")
    print(f"reading is {min(drawing) / min(reading):.1f} times as fast as drawing")


if __name__ == "__main__":
    main()
