"""`texlens read`: pictures in, LaTeX out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from texlens.errors import InputError, TexlensError
from texlens.records import Reading

if TYPE_CHECKING:
    from texlens.reading.engine import EngineName

# Tabs, controls and whatever else could end a line.
_LINE_BREAKS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")

WARNINGS = {
    "unfinished": "the answer was cut off at the model's limit.",
    "loop": "the answer runs in a circle.",
    "does_not_parse": "the answer is not valid LaTeX.",
    "no_formula": "no formula was found.",
    "no_answer": "the model gave no answer in the form it was taught.",
}


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--model", help="Folder or hub name of a Qwen2.5-VL. Default: the embedded model.")
@click.option("--adapter", help="Folder or hub name of a LoRA adapter for the model.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Pictures at a time.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "torch", "onnx"]),
    default="auto",
    show_default=True,
    help="What runs the model. auto: torch if it is installed, else onnxruntime.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Type of the weights. auto: float32 on a CPU, bfloat16 elsewhere.",
)
@click.option("--int8", is_flag=True, help="8-bit weights, on a CPU.")
@click.option("--4bit", "four_bit", is_flag=True, help="4-bit weights (needs bitsandbytes).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def read(
    pictures: tuple[str, ...],
    model: str | None,
    adapter: str | None,
    batch_size: int | None,
    device: str,
    engine: EngineName,
    dtype: str,
    int8: bool,
    four_bit: bool,
    as_json: bool,
) -> None:
    """Read pictures of formulas as LaTeX.

    PICTURE is a file (PNG, JPEG, WebP, TIFF, BMP, GIF), a folder, a pattern such as 'scans/*.png',
    or - for standard input. The LaTeX of one picture is printed alone; of several, one line each:
    path, confidence, LaTeX, with tabs between. Exit status 1 if any picture could not be read.
    """
    from texlens.reading import Reader
    from texlens.reading.sources import find_pictures

    if int8 and four_bit:
        raise InputError("Weights have 8 bits or 4: give --int8 or --4bit, not both.")
    reader = Reader(
        model,
        adapter,
        engine=engine,
        device=device,
        dtype=dtype,
        quantisation="int8" if int8 else "nf4" if four_bit else None,
        batch_size=batch_size,
    )
    readings = reader.read_many(find_pictures(pictures))
    count, failed = _print_json(readings) if as_json else _print_lines(readings)
    if failed:
        raise TexlensError(f"{failed} of {count} pictures could not be read.")


def _print_json(readings: Iterable[Reading]) -> tuple[int, int]:
    """Print one document; returns how many readings there were, and how many failed."""
    records = list(readings)
    document = {"readings": [reading.as_json() for reading in records]}
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return len(records), sum(reading.error is not None for reading in records)


def _print_lines(readings: Iterable[Reading]) -> tuple[int, int]:
    """Print readings as they come, a single one without its path; returns as `_print_json`."""
    count = failed = 0
    waiting: Reading | None = None
    for reading in readings:
        count += 1
        failed += reading.error is not None
        if waiting is not None:
            _print_line(waiting, alone=False)
        waiting = reading
    if waiting is not None:
        _print_line(waiting, alone=count == 1)
    return count, failed


def _print_line(reading: Reading, *, alone: bool) -> None:
    if reading.error is not None:
        print(f"texlens: {reading.error}", file=sys.stderr)
        return
    for warning in reading.warnings:
        print(f"{reading.path}: {WARNINGS[warning]}", file=sys.stderr)
    latex = _LINE_BREAKS.sub(" ", reading.latex)
    print(latex if alone else f"{reading.path}\t{reading.confidence:.2f}\t{latex}", flush=True)
