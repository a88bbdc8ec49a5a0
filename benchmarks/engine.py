"""How many formulas a second and core does the engine check, draw as boxes, SVG and PNG?

    python benchmarks/engine.py [--formulas FILE] [--seconds 5]

FILE is text with a formula a line, or Parquet with a column `latex_formula`; the default is the
formulas beside this script. Each stage runs warm over the whole file, again and again until the
time is up. Figures are by the clock and by processor time of this process, V8's threads included:
on a machine that others use the second is the fairer one. The text stage is what a corpus goes
through before anything is drawn: wrappers off, normal form, KaTeX validity.

The targets are formulas a second and core on the formulas of im2latex-100k or those given here.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from texlens.engine import Failure, get_engine
from texlens.latex import katex_valid, normalize
from texlens.render import Size, png_many

TARGETS = {"validity": 8_000, "boxes": 500, "SVG": 300, "PNG": 100, "text stage": 1_500}
PNG_SIZE = Size(em_px=32.0)
FORMULAS_A_ROUND = 500


def read_formulas(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as parquet

        column = parquet.read_table(file, columns=["latex_formula"])["latex_formula"]
        return [str(formula) for formula in column.to_pylist()]
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def text_stage(formulas: list[str]) -> list[bool]:
    return katex_valid([normalize(formula) for formula in formulas])


def rates(
    stage: Callable[[list[str]], object], formulas: list[str], seconds: float
) -> tuple[int, float, float]:
    """Formulas done, and how many a second by the clock and by processor time."""
    stage(formulas[:FORMULAS_A_ROUND])  # V8 compiles what is hot
    done = 0
    clock, processor = time.perf_counter(), time.process_time()
    while time.perf_counter() - clock < seconds:
        start = done % len(formulas)
        part = formulas[start : start + FORMULAS_A_ROUND]
        stage(part)
        done += len(part)
    return done, done / (time.perf_counter() - clock), done / (time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--formulas", type=Path, default=Path(__file__).with_name("formulas.txt"), metavar="FILE"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    formulas = read_formulas(arguments.formulas)
    engine = get_engine()
    start = time.perf_counter()
    engine.draw(["x"])
    started = time.perf_counter() - start
    failed = sum(isinstance(drawing, Failure) for drawing in engine.draw(formulas))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {engine.signature}"
    )
    print(
        f"{arguments.formulas.name}: {len(formulas)} formulas of {mean(map(len, formulas)):.0f} "
        f"characters on average, {failed} not drawable; engine started in {started:.2f} s"
    )
    print(f"{'':12}{'n':>8}{'a second':>10}{'by processor':>14}{'target':>8}{'ratio':>7}")
    stages: dict[str, Callable[[list[str]], object]] = {
        "validity": engine.parse,
        "boxes": engine.draw,
        "SVG": engine.svg,
        "PNG": lambda part: png_many(part, PNG_SIZE),
        "text stage": text_stage,
    }
    for name, stage in stages.items():
        done, clock, processor = rates(stage, formulas, arguments.seconds)
        target = TARGETS[name]
        print(
            f"{name:12}{done:>8,}{clock:>10,.0f}{processor:>14,.0f}{target:>8,}"
            f"{processor / target:>7.1f}"
        )


if __name__ == "__main__":
    main()
