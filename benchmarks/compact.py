"""The compact form of every formula of a folder of lists: same normal form, and valid where that is.

    python benchmarks/compact.py ../shared/data/formulas

Each line is one formula, raw or in normal form; `.xz` files are unpacked.
"""

from __future__ import annotations

import argparse
import lzma
import time
from pathlib import Path

from texlens.engine import get_engine
from texlens.latex import normalize
from texlens.latex.compact import compact

BATCH = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    total = changed = refused = 0
    seconds = 0.0
    for path in sorted(arguments.folder.iterdir()):
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
        formulas = text.removesuffix("\n").split("\n")
        for first in range(0, len(formulas), BATCH):
            normal = [normalize(formula) for formula in formulas[first : first + BATCH]]
            start = time.perf_counter()
            written = [compact(formula) for formula in normal]
            seconds += time.perf_counter() - start
            engine = get_engine()
            valid = engine.parse(normal), engine.parse(written)
            for formula, short, before, after in zip(normal, written, *valid, strict=True):
                total += 1
                if normalize(short) != formula:
                    changed += 1
                    print(f"other normal form: {formula}\n               of: {short}")
                if before is None and after is not None:
                    refused += 1
                    print(f"KaTeX refuses: {short}\n           of: {formula}")
        print(f"{path.name}: {len(formulas)}", flush=True)
    print(
        f"{total} formulas: {changed} with another normal form, {refused} that KaTeX refuses only in the "
        f"compact form; {1e6 * seconds / total:.0f} us a formula"
    )


if __name__ == "__main__":
    main()
