"""Does the same formula read the same in other sizes, on other grounds, with other margins?

    python benchmarks/robustness.py DATA.parquet [--pictures 200] [--first 0] [--model FOLDER]
                                    [--backend onnx] [--out docs/robustness.png]

Every picture is resampled (bicubic) to 0.5 to 2 times its size, and, in its own size, laid on dark,
coloured and uneven grounds, faded, given noise, wide margins and none. Prints `exact` (the text in
normal form), `exprate_layout` and `layout` (the rendered formula) against the reference for each, and the
share of readings whose text is that of the unchanged picture; plots the curve over the sizes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from texlens.data.parquet import read_examples
from texlens.metrics import score
from texlens.reading import Reader
from texlens.reading.pictures.opening import open_picture

SCALES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0)
KEYS = ["exact", "exprate_layout", "layout"]
Change = Callable[[Image.Image], Image.Image]


def scaled(scale: float) -> Change:
    """A change of size by this factor."""

    def change(image: Image.Image) -> Image.Image:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(size, Image.Resampling.BICUBIC) if scale != 1.0 else image

    return change


def coloured(ink: str, ground: str) -> Change:
    """Ink and ground in these colours instead of black and white."""
    return lambda image: ImageOps.colorize(image.convert("L"), black=ink, white=ground)


def shaded(image: Image.Image) -> Image.Image:
    """Light that falls from 1 to 0.55 across the page, as on a photograph."""
    light = np.linspace(1.0, 0.55, image.width)[None, :, None]
    return Image.fromarray((np.asarray(image) * light).astype(np.uint8))


def noisy(image: Image.Image) -> Image.Image:
    """Gaussian noise with a standard deviation of 12 levels of 255."""
    noise = np.random.default_rng(image.width * image.height).normal(0, 12, (*image.size[::-1], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def margins(pixels: int) -> Change:
    """White around the picture; none: cut to the ink."""

    def change(image: Image.Image) -> Image.Image:
        box = ImageOps.invert(image.convert("L")).getbbox()
        return ImageOps.expand(image.crop(box), pixels, fill="white")

    return change


GROUNDS: dict[str, Change] = {
    "as it is": lambda image: image,
    "white on black": coloured("white", "black"),
    "light on dark blue": coloured("#e8e8f0", "#1b2a49"),
    "blue on yellow": coloured("#1a3c8c", "#fff2b3"),
    "red on grey": coloured("#a02020", "#c8c8c8"),
    "grey on white": coloured("#a0a0a0", "white"),
    "uneven light": shaded,
    "noise": noisy,
    "no margin": margins(0),
    "margin of 200 px": margins(200),
}


def measure(
    reader: Reader, pictures: list[Image.Image], references: list[str], change: Change
) -> tuple[list[float], list[str]]:
    """The value of each key over the changed pictures, and their readings."""
    readings = [reading.normal for reading in reader.read_many(map(change, pictures))]
    scores = score(zip(references, readings, strict=True), KEYS)
    return [scores[key].value or 0.0 for key in KEYS], readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="row to begin with")
    parser.add_argument("--model")
    parser.add_argument("--backend", choices=["auto", "torch", "onnx"], default="auto")
    parser.add_argument("--out", type=Path, help="write the curve as PNG")
    arguments = parser.parse_args()
    rows = list(read_examples(arguments.data))
    rows = rows[arguments.first : arguments.first + arguments.pictures]
    pictures = [open_picture(row.image) for row in rows]
    references = [row.latex_formula for row in rows]
    reader = Reader(arguments.model, backend=arguments.backend)
    start = time.perf_counter()
    plain, unchanged = measure(reader, pictures, references, GROUNDS["as it is"])

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[0]:.1f}; {len(rows)} pictures of {arguments.data.name} from row "
        f"{arguments.first}; {reader.name}, {arguments.backend} backend"
    )
    print(f"\n| picture | {' | '.join(KEYS)} | same text |\n|---|---|---|---|---|")

    def line(name: str, change: Change) -> list[float]:
        values, readings = measure(reader, pictures, references, change)
        same = sum(a == b for a, b in zip(readings, unchanged, strict=True)) / len(rows)
        cells = " | ".join(f"{value:.3f}" for value in (*values, same))
        print(f"| {name} | {cells} |", flush=True)
        return values

    curve = [
        plain if scale == 1.0 else line(f"size x {scale:g}", scaled(scale)) for scale in SCALES
    ]
    for name, change in GROUNDS.items():
        line(name, change)
    print(f"\n{time.perf_counter() - start:.0f} s")
    if arguments.out:
        plot(curve, arguments.out, len(rows), arguments.data.name)


def plot(curve: list[list[float]], path: Path, count: int, data: str) -> None:
    """The three values over the size, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    labels: dict[str, Any] = {
        "exact": "exact text", "exprate_layout": "same rendering", "layout": "layout score",
    }  # fmt: skip
    for place, key in enumerate(KEYS):
        axes.plot(SCALES, [values[place] for values in curve], marker="o", label=labels[key])
    axes.set_xscale("log")
    axes.set_xticks(SCALES, [f"{scale:g}" for scale in SCALES])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel("size of the picture, times the original")
    axes.set_ylabel("value, 0 to 1")
    axes.set_title(f"{count} pictures of {data}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower center", ncols=3, fontsize="small")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
