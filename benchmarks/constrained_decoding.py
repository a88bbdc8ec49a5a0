"""What constrained decoding, rereading and best-of-N give, and what they cost: one table a data set.

    python benchmarks/constrained_decoding.py DATA.parquet[:FIRST:LAST] ... [--model FOLDER] [--backend onnx]
                                              [--best-of 3 5] [--non-formulas 200]

The same pictures are read in every way, in turns of 64, so that other work on the machine slows
all ways alike. `parses`: by KaTeX; `finished`: ended by the model itself, not at the limit or in a
loop; `exact`: the normal form is the reference's; `layout` and `exprate` of layout as in docs/metrics.md.
`cost` is CPU seconds relative to `unconstrained`, `pictures/s` is wall time. The lines below a table compare the
first two ways picture by picture: what the constraint gained, and what it spoiled.
Pictures without a formula have no reference: they must parse and finish.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from non_formulas import make_pictures
from texlens.data.parquet import read_examples
from texlens.latex import katex_valid, normalize
from texlens.metrics import score
from texlens.reading import Reader
from texlens.reading.pictures.opening import open_picture
from texlens.records import Reading

TURN = 64  # pictures
CUT = frozenset({"unfinished", "loop"})


@dataclass
class Way:
    """One way of reading, and what it has read so far."""

    name: str
    reader: Reader
    readings: list[Reading] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def read(self, pictures: Sequence[Image.Image]) -> None:
        """Read some more pictures."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.readings += self.reader.read_many(pictures)
        self.cpu_s += time.process_time() - cpu
        self.wall_s += time.perf_counter() - wall


def formulas(place: str) -> tuple[list[Image.Image], list[str]]:
    """The pictures and references of a file, or of some of its rows."""
    name, *limits = place.split(":")
    rows = list(read_examples(Path(name)))
    rows = rows[slice(*map(int, limits))] if limits else rows
    return [open_picture(row.image) for row in rows], [row.latex_formula for row in rows]


def table(
    title: str, pictures: Sequence[Image.Image], references: list[str] | None, ways: list[Way]
) -> None:
    for way in ways:
        way.readings, way.cpu_s, way.wall_s = [], 0.0, 0.0
    for first in range(0, len(pictures), TURN):
        for way in ways:
            way.read(pictures[first : first + TURN])
    print(f"\n{title}, {len(pictures)} pictures\n")
    print("| way | parses | finished | exact | layout | exprate | pictures/s | cost |")
    print("|---|---|---|---|---|---|---|---|")
    plain = next(way for way in ways if way.name == "unconstrained").cpu_s
    for way in ways:
        texts = [reading.normal for reading in way.readings]
        finished = [not CUT.intersection(reading.warnings) for reading in way.readings]
        shares = [mean(katex_valid(texts)), mean(finished)]
        if references is not None:
            exact = [normalize(a) == normalize(b) for a, b in zip(texts, references, strict=True)]
            pairs = zip(references, texts, strict=True)
            layout = score(pairs, ["layout", "exprate_layout"])
            shares += [mean(exact), layout["layout"].value, layout["exprate_layout"].value]
        cells = [f"{share:.4f}" for share in shares] + ["-"] * (5 - len(shares))
        print(
            f"| {way.name} | {' | '.join(cells)} | {len(pictures) / way.wall_s:.2f} "
            f"| {way.cpu_s / plain:.2f} |",
            flush=True,
        )
    if references is not None:
        compare(references, *ways[:2])


def compare(references: list[str], before: Way, after: Way) -> None:
    """Print what one way gained over another, and what it spoiled, picture by picture."""
    normal = [normalize(reference) for reference in references]
    values: list[dict[str, Sequence[float | None]]] = []
    for way in (before, after):
        texts = [reading.normal for reading in way.readings]
        scores = score(zip(references, texts, strict=True), ["layout", "exprate_layout"])
        exact = [float(normalize(text) == one) for text, one in zip(texts, normal, strict=True)]
        values.append({"exact": exact} | {key: scores[key].items for key in scores})
    print(f"\n{after.name} against {before.name}, pictures gained and spoiled:", end=" ")
    changes = []
    for key in values[0]:
        pairs = [
            (old or 0.0, new or 0.0)
            for old, new in zip(values[0][key], values[1][key], strict=True)
        ]
        gained, spoiled = sum(new > old for old, new in pairs), sum(new < old for old, new in pairs)
        changes.append(f"{key} {gained} and {spoiled}")
    print("; ".join(changes), flush=True)


def mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", help="FILE.parquet or FILE.parquet:FIRST:LAST")
    parser.add_argument("--model", help="a model's folder; default: the embedded model")
    parser.add_argument("--backend", choices=["onnx", "torch"], default="onnx")
    parser.add_argument("--best-of", type=int, nargs="*", default=[3, 5])
    parser.add_argument("--non-formulas", type=int, default=200)
    arguments = parser.parse_args()

    def reader(**options: Any) -> Reader:
        return Reader(arguments.model, backend=arguments.backend, device="cpu", **options)

    ways = [
        Way("unconstrained", reader(constrained=False, reread=False)),
        Way("constrained", reader(reread=False)),
        Way("constrained, reread", reader()),
        *(Way(f"constrained, best of {n}", reader(best_of=n)) for n in arguments.best_of),
    ]
    print(
        f"{platform.processor() or platform.machine()}, {ways[0].reader.name}, "
        f"{arguments.backend}, float32",
        flush=True,
    )
    for place in arguments.data:
        pictures, references = formulas(place)
        for way in ways[:2]:  # warm-up
            way.read(pictures[:2])
        table(
            Path(place.split(":")[0]).name + place[len(place.split(":")[0]) :],
            pictures,
            references,
            ways,
        )
    if arguments.non_formulas:
        pictures = [image for _, image in make_pictures(arguments.non_formulas, 2, "test")]
        table("pictures without a formula", pictures, None, ways)


if __name__ == "__main__":
    main()
