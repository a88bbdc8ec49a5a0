"""Claims: the normal form keeps the picture on at least 99.9 % of formulas, at 1,500 a second.

    python benchmarks/normal_form.py FILE... [--exceptions OUT.jsonl] [--sample N] [--tex N]

FILE has one formula a line, or is one of the development corpora (`.tsv`, `.tsv.xz`: last column;
`.parquet`: column latex_formula). Without one the tests' own formulas are used. Of the distinct
formulas those that KaTeX accepts are rendered before and after; the same glyphs, fonts and places
(0.003 em) are the same picture. Every exception is written out. `--rewrites N` takes, in place of the
formulas, N of them rewritten by each rule of benchmarks/rewrites, as others spell them. `--tex N` also
compares N formulas as pdflatex sets them, pixel by pixel.
"""

from __future__ import annotations

import argparse
import lzma
import platform
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewrites import RULES
from texlens.engine import get_engine
from texlens.latex import formula_of, katex_valid, normalize, tokenize
from texlens.render.compare import same_picture
from texlens.runs import write_json_lines

OWN = Path(__file__).parents[1] / "tests" / "latex" / "formulas.txt"
FORMULAS_A_BATCH = 2_000


def read(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(file, columns=["latex_formula"])
        return [str(formula) for formula in table["latex_formula"].to_pylist()]
    content = file.read_bytes()
    text = (lzma.decompress(content) if file.suffix == ".xz" else content).decode("utf-8")
    return [line.split("\t")[-1] for line in text.splitlines() if line.strip()]


def rewritten(formulas: list[str], n: int) -> list[str]:
    """`n` formulas in normal form rewritten by each rule, without those that a rule leaves alone."""
    sample = random.Random(0).sample(formulas, min(n, len(formulas)))
    tokens = [tokenize(normalize(formula)) for formula in sample]
    rng = random.Random(0)
    found = (rule.apply(formula, rng) for rule in RULES for formula in tokens)
    return list(dict.fromkeys(formula for formula in found if formula is not None))


def measure_speed(formulas: list[str]) -> None:
    # The fastest of five passes: the others wait for whoever shares the machine.
    sample = random.Random(0).sample(formulas, min(2_000, len(formulas)))
    tokens = sum(len(tokenize(formula)) for formula in sample) / len(sample)
    katex_valid(sample)
    normal, whole = [], []
    for _ in range(5):
        start = time.process_time()
        for formula in sample:
            normalize(formula)
        normal.append(time.process_time() - start)
        start = time.perf_counter()
        katex_valid([normalize(formula) for formula in sample])
        whole.append(time.perf_counter() - start)
    print(f"speed on {len(sample)} formulas of {tokens:.0f} tokens on average:")
    print(f"  tokens, normal form           {len(sample) / min(normal):8,.0f} formulas/s")
    print(f"  the same and KaTeX validity   {len(sample) / min(whole):8,.0f} formulas/s")


def measure_pictures(formulas: list[str], exceptions: Path | None) -> None:
    rows = []
    count = Counter[str]()
    for start in range(0, len(formulas), FORMULAS_A_BATCH):
        batch = formulas[start : start + FORMULAS_A_BATCH]
        valid = [a for a, ok in zip(batch, katex_valid(batch), strict=True) if ok]
        pairs = [(formula_of(formula), normalize(formula)) for formula in valid]
        count["invalid"] += len(batch) - len(valid)
        for (before, after), same in zip(pairs, same_picture(pairs), strict=True):
            count["respelled"] += tokenize(before) != tokenize(after)
            count["not idempotent"] += normalize(after) != after
            verdict = {True: "kept", False: "moved", None: "not rendered"}[same]
            count[verdict] += 1
            if same is not True:
                rows.append({"verdict": verdict, "latex": before, "normal": after})
    compared = count["kept"] + count["moved"]
    print(f"{len(formulas)} distinct formulas, {count['invalid']} that KaTeX refuses,")
    print(f"{count['not rendered']} that MathJax cannot render; {compared} compared:")
    print(f"  other tokens  {count['respelled']}")
    print(f"  picture kept  {count['kept']} = {count['kept'] / max(1, compared):.4%}")
    print(f"  picture moved {count['moved']}")
    print(f"  normal form of the normal form differs: {count['not idempotent']}")
    if exceptions is not None:
        write_json_lines(exceptions, rows)
        print(f"exceptions in {exceptions}")
    for row in rows[:20]:
        print(f"  {row['verdict']}: {row['latex']}")


def measure_tex(formulas: list[str], n: int) -> None:
    from texlens.render.tex import render_tex

    formulas = [a for a in formulas if normalize(a) != formula_of(a)]
    sample = random.Random(0).sample(formulas, min(n, len(formulas)))
    before = render_tex([formula_of(formula) for formula in sample], dpi=300)
    after = render_tex([normalize(formula) for formula in sample], dpi=300)
    both = [
        (formula, a, b)
        for formula, a, b in zip(sample, before, after, strict=True)
        if isinstance(a, np.ndarray)
    ]
    moved = [f for f, a, b in both if not (isinstance(b, np.ndarray) and alike(a, b))]
    print(
        f"TeX: {len(both)} of {len(sample)} respelled formulas compile; pictures moved: {len(moved)}"
    )
    for formula in moved[:20]:
        print(f"  {formula}")


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether the ink is the same but for two pixels (of 300 dpi), the phase of the raster."""
    first, second = ink(a), ink(b)
    if any(abs(m - n) > 2 for m, n in zip(first.shape, second.shape, strict=True)):
        return False
    shape = np.maximum(first.shape, second.shape)
    first, second = (
        np.pad(x, [(2, 2 + n - m) for m, n in zip(x.shape, shape, strict=True)])
        for x in (first, second)
    )
    return covered(first, second) and covered(second, first)


def ink(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    dark = picture < 128
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else dark[:0, :0]


def covered(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> bool:
    """Whether every pixel of `a` has one of `b` no more than two pixels away."""
    near = np.zeros_like(b)
    for down in range(-2, 3):
        for right in range(-2, 3):
            near |= np.roll(b, (down, right), axis=(0, 1))
    return not bool((a & ~near).any())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, default=[OWN])
    parser.add_argument("--exceptions", type=Path)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--rewrites", type=int)
    parser.add_argument("--tex", type=int, default=0)
    options = parser.parse_args()
    formulas = list(dict.fromkeys(formula for file in options.files for formula in read(file)))
    if options.sample is not None:
        formulas = random.Random(0).sample(formulas, min(options.sample, len(formulas)))
    if options.rewrites is not None:
        formulas = rewritten(formulas, options.rewrites)
    print(f"{platform.machine()}, Python {platform.python_version()}, {get_engine().signature}")
    measure_speed(formulas)
    measure_pictures(formulas, options.exceptions)
    if options.tex:
        measure_tex(formulas, options.tex)


if __name__ == "__main__":
    main()
