r"""Count the formulas of lists and shards that are also in a set or corpus that numbers are reported on.

    python tools/pretrain/leaks.py SHARED_DATA SETS/ LIST_OR_SHARDS...

SETS/ holds the Parquet files of `make_sets.py`. A formula is the same when its key (`holdout.py`) is
that of the other, of both texts or of both normal forms. Formulas of up to SHORT tokens (`x = 2`,
`a ^ { 2 }`) are counted apart: generated and renamed ones meet them by chance.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from holdout import key
from pyarrow import parquet

from texlens.data.pictures.shards import read_shard
from texlens.latex import normalize, tokenize

SHORT = 12


def keys_of(formulas: Iterable[str]) -> dict[str, str]:
    """The formulas by both keys of each."""
    keys: dict[str, str] = {}
    for formula in formulas:
        keys[key(formula)] = formula
        keys[key(normalize(formula))] = formula
    return keys


def guarded(shared: Path, sets: Path) -> dict[str, dict[str, str]]:
    """What must not be trained on, by name."""

    def column(path: Path) -> list[str]:
        return list(
            parquet.read_table(path, columns=["latex_formula"])["latex_formula"].to_pylist()
        )

    found = {path.stem: keys_of(column(path)) for path in sorted(sets.glob("*.parquet"))}
    found["im2latex_val"] = keys_of(column(shared / "im2latex_val.parquet"))
    with (shared / "crohme_captions_test2014.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found["crohme_2014"] = keys_of(row[-1].strip("$ ") for row in rows)
    return found


def formulas_of(path: Path) -> list[str]:
    """The formulas of a list, or of all shards of a folder."""
    if path.is_dir():
        return [f for shard in sorted(path.glob("*.npz")) for f in read_shard(shard).formulas]
    return path.read_text(encoding="utf-8").splitlines()


def main() -> None:
    shared, sets, *paths = map(Path, sys.argv[1:])
    sources = guarded(shared, sets)
    print("of | formulas | " + " | ".join(f"{name} (short)" for name in sources))
    for path in paths:
        formulas = formulas_of(path)
        mine = keys_of(dict.fromkeys(formulas))
        cells = []
        for keys in sources.values():
            same = {mine[name] for name in mine.keys() & keys.keys()}
            short = sum(len(tokenize(formula)) <= SHORT for formula in same)
            cells.append(f"{len(same) - short} ({short})")
        print(f"{path.name} | {len(formulas)} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
