"""The memory of `texlens evaluate` over many pictures.

    python benchmarks/evaluate_memory.py --pictures 20000

Makes a data set of photographs of noise (so that nothing compresses away), which a recogniser "reads" by
giving every third reference wrongly, evaluates it in a process of its own, and reports that process's peak
resident memory and time. The recogniser holds no memory: what is measured is the evaluation.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from texlens.data.parquet import write_examples
from texlens.evaluate import evaluate
from texlens.images import encode_png
from texlens.metrics.batches import ScoringConfig
from texlens.records import Example

METRICS = ("bleu", "edit_tokens", "exact", "layout")


class Counts:
    r"""Gives `x_{N} + \frac{a}{N}` for the N-th picture, every third time with another letter."""

    def read_many(self, pictures: Iterable[Image.Image]) -> Iterator[str]:
        """The predictions of the pictures, in their order."""
        for number, _ in enumerate(pictures):
            yield reference(number).replace("a", "b") if number % 3 == 0 else reference(number)


def reference(number: int) -> str:
    return rf"x _ {{ {number} }} + \frac {{ a }} {{ {number} }}"


def examples(count: int, side: int) -> Iterator[Example]:
    random = np.random.default_rng(1)
    for number in range(count):
        noise = random.integers(0, 255, (side, 2 * side), dtype=np.uint8)
        picture = encode_png(Image.fromarray(noise), compress_level=1)
        yield Example(f"p{number}", picture, reference(number))


def measured(data: Path, out: Path) -> None:
    """Evaluate in this process and print its figures."""
    start = time.perf_counter()
    config = ScoringConfig(METRICS, cache=False)
    document = evaluate(Counts(), data, out, config, quiet=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    page = (out / "report.html").stat().st_size / 2**20
    print(
        f"{document['n']} pictures, {data.stat().st_size / 2**20:.0f} MiB: peak {peak:.0f} MiB, "
        f"{time.perf_counter() - start:.0f} s, page {page:.1f} MiB, "
        f"exact {document['metrics']['exact']['value']:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=100, help="Height of a picture, in pixels.")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measured(*arguments.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data.parquet", Path(folder) / "out"
        write_examples(data, examples(arguments.pictures, arguments.side))
        command = [sys.executable, __file__, "--measure", str(data), str(out)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
