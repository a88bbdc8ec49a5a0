"""How fast is a corpus prepared, and in how much memory?

    python benchmarks/prepare.py [--formulas FILE] [--ink FOLDER] [--seconds 5]
    python benchmarks/prepare.py --rows 500000 [--workers 1]

The first form measures the stages of `texlens data prepare`, warm, on one core: the text stage
(wrappers off, normal form, KaTeX validity); the same with `--verify all` (every formula and its
normal form rendered and compared); ink to picture (InkML read, rendered, encoded as PNG). Beside them the
usual way to check or normalise LaTeX from Python, one Node process a formula, with the same bundle;
it is left out where there is no Node. FILE is text with a formula a line, or Parquet with a column
`latex_formula`; FOLDER holds InkML. By default the formulas are those of `formulas.txt`, and the ink is synthetic.

The second form writes a Parquet corpus of that many small pictures into a temporary folder, in one
row group as the worst writers do, runs `texlens data prepare` on it, and gives the peak memory.

Figures are by the clock and by processor time of this process, V8's threads included: on a machine
that others use the second is the fairer one.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import texlens.engine
from texlens.data.pictures.handwriting import handwrite
from texlens.data.pictures.ink import InkError, array_to_png, parse_inkml, render_ink
from texlens.engine import get_engine
from texlens.latex import katex_valid, normalize
from texlens.render import same_picture

T = TypeVar("T")

TARGETS = {"text stage": 1_500, "with --verify all": 250, "ink to picture": 300}
PEAK_TARGET_GB = 2.0
NODE_FORMULAS = 20


def read_formulas(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        column = pq.read_table(file, columns=["latex_formula"])["latex_formula"]
        return [str(formula) for formula in column.to_pylist()]
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_ink(folder: Path | None, formulas: Sequence[str]) -> list[bytes]:
    """InkML documents: of a folder, or of synthetic handwriting."""
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.rglob("*.inkml"))]
    rngs = [np.random.default_rng(n) for n in range(len(formulas))]
    written = [ink for ink in handwrite(formulas, rngs) if not isinstance(ink, str)]
    return [
        b"<ink>%s</ink>"
        % b"".join(
            b"<trace>%s</trace>" % ", ".join(f"{x:.2f} {y:.2f}" for x, y in stroke).encode()
            for stroke in ink
        )
        for ink in written
    ]


def text_stage(formulas: Sequence[str]) -> None:
    katex_valid([normalize(formula) for formula in formulas])


def verified_text_stage(formulas: Sequence[str]) -> None:
    normal = [normalize(formula) for formula in formulas]
    katex_valid(normal)
    same_picture(list(zip(formulas, normal, strict=True)))


def ink_to_picture(documents: Sequence[bytes]) -> None:
    for document in documents:
        try:
            array_to_png(render_ink(parse_inkml(document).strokes))
        except InkError:
            continue


def rates(
    stage: Callable[[Sequence[T]], object], items: Sequence[T], seconds: float
) -> tuple[int, float, float]:
    """Items done, and how many a second by the clock and by processor time."""
    stage(items[:200])  # V8 compiles what is hot
    done = 0
    clock, processor = time.perf_counter(), time.process_time()
    while time.perf_counter() - clock < seconds:
        start = done % len(items)
        part = items[start : start + 200]  # as many as `prepare` puts into a chunk
        stage(part)
        done += len(part)
    return done, done / (time.perf_counter() - clock), done / (time.process_time() - processor)


def node_rate(formulas: Sequence[str]) -> float | None:
    """Formulas a second by one Node process each, which loads our bundle and asks its KaTeX."""
    node = shutil.which("node")
    if node is None:
        return None
    bundle = Path(texlens.engine.__file__).parent / "js" / "engine.js"
    script = (
        "require('vm').runInThisContext(require('fs').readFileSync(process.argv[1], 'utf8'));"
        "console.log(texlens.parse([process.argv[2]]))"
    )
    start = time.perf_counter()
    for formula in formulas:
        subprocess.run(
            [node, "-e", script, str(bundle), formula], stdout=subprocess.DEVNULL, check=True
        )
    return len(formulas) / (time.perf_counter() - start)


def measure_stages(formulas: list[str], ink: list[bytes], seconds: float) -> None:
    print(f"{len(formulas)} formulas of {mean(map(len, formulas)):.0f} characters, {len(ink)} inks")
    print(f"{'':20}{'n':>8}{'a second':>10}{'by processor':>14}{'target':>8}{'ratio':>7}")
    measured = {
        "text stage": rates(text_stage, formulas, seconds),
        "with --verify all": rates(verified_text_stage, formulas, seconds),
        "ink to picture": rates(ink_to_picture, ink, seconds),
    }
    for name, (done, clock, processor) in measured.items():
        target = TARGETS[name]
        ratio = processor / target
        print(f"{name:20}{done:>8,}{clock:>10,.0f}{processor:>14,.0f}{target:>8,}{ratio:>7.1f}")
    one_a_process = node_rate(formulas[:NODE_FORMULAS])
    if one_a_process is None:
        print("There is no Node here to compare with.")
    else:
        ratio = measured["text stage"][1] / one_a_process
        print(
            f"One Node process a formula, validity alone: {one_a_process:.1f} a second "
            f"(n = {NODE_FORMULAS}); the text stage is {ratio:,.0f} times as fast by the clock."
        )


def corpus(rows: int) -> Iterator[pa.Table]:
    """Pictures of 160 x 32 pixels that are all different, every formula twice."""
    rng = np.random.default_rng(0)
    for first in range(0, rows, 1000):
        images, formulas = [], []
        for n in range(first, min(first + 1000, rows)):
            grey = np.where(rng.random((32, 160)) < 0.1, 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(grey).save(buffer, "PNG", compress_level=1)
            images.append({"bytes": buffer.getvalue(), "path": None})
            formulas.append(rf"\frac{{x_{{{n // 2}}}}}{{a+{n % 89}}}=\sqrt{{y^{n % 7}}}")
        yield pa.table({"image": images, "latex_formula": formulas})


def measure_scale(rows: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "corpus.parquet", Path(folder) / "out"
        parts = list(corpus(rows))
        table = pa.concat_tables(parts)
        with pq.ParquetWriter(source, table.schema) as writer:
            writer.write_table(table, row_group_size=rows)
        del parts, table
        print(f"{rows:,} rows, {source.stat().st_size / 1e9:.2f} GB, one row group")
        start = time.perf_counter()
        result = subprocess.run(
            [
                *(sys.executable, "-m", "texlens", "data", "prepare", "im2latex"),
                *("--from", str(source), "--out", str(out), "--workers", str(workers), "--json"),
            ],
            check=True,
            stdout=subprocess.PIPE,
        )
        seconds = time.perf_counter() - start
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        counts = json.loads(result.stdout)["counts"]
        # Linux counts in KiB, macOS in bytes; with workers it is the largest process.
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
        print(
            f"{counts}: {seconds:.0f} s by the clock, {rows / seconds:.0f} rows a second, "
            f"{usage.ru_utime + usage.ru_stime:.0f} s of processor time; "
            f"peak memory {peak:.2f} GB (at most {PEAK_TARGET_GB:.0f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--formulas", type=Path, default=Path(__file__).with_name("formulas.txt"), metavar="FILE"
    )
    parser.add_argument("--ink", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rows", type=int, help="Measure memory on a corpus of so many rows.")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {get_engine().signature}"
    )
    if arguments.rows:
        measure_scale(arguments.rows, arguments.workers)
    else:
        formulas = read_formulas(arguments.formulas)
        measure_stages(formulas, read_ink(arguments.ink, formulas), arguments.seconds)


if __name__ == "__main__":
    main()
