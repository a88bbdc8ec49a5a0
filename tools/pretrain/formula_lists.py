r"""Write the formula lists of a pretraining run, without the formulas that are kept out.

    python tools/pretrain/formula_lists.py SHARED_DATA OUT/

SHARED_DATA holds `formulas/*.txt.xz` with one formula a line, `stacks_formulas_train.tsv.xz` whose
last column is LaTeX, `im2latex_train.parquet`, of which the first 6,500 rows are taken, and the
corpora that numbers are reported on. Writes `NAME.txt` for training, `NAME.dev.txt` for a hundredth
part that no run may train on, and `lists.json` with the counts. Left out, and counted, is what
has more than 300 tokens or a character that TeX's fonts lack (Chinese words), and what
`holdout.py` keeps out. OUT/tokenizer knows the tokens of all lists and of the kinds that are made.
"""

from __future__ import annotations

import csv
import json
import lzma
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

from holdout import is_dev, kept_for_sets, key
from pyarrow import parquet

from texlens.data.formulas.grammar import generate
from texlens.data.formulas.kinds import MADE_KINDS
from texlens.latex import normalize, tokenize
from texlens.model.prompt_config import PromptConfig
from texlens.model.tokenizer import build_tokenizer

MAX_TOKENS = 300
IM2LATEX_ROWS = 6500


def read_list(path: Path) -> list[str]:
    """The formulas of a list, as it has them."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").rpartition("\t")[2] for line in file]


def lists_of(shared: Path) -> dict[str, Path]:
    """The lists by name."""
    paths = [
        *sorted((shared / "formulas").glob("*.txt.xz")),
        shared / "stacks_formulas_train.tsv.xz",
    ]
    return {path.name.split(".")[0]: path for path in paths}


def reported_keys(shared: Path) -> frozenset[str]:
    """The keys of the formulas that numbers are reported on."""
    formulas: list[str] = []
    table = parquet.read_table(shared / "im2latex_val.parquet", columns=["latex_formula"])
    formulas += table["latex_formula"].to_pylist()
    table = parquet.read_table(shared / "im2latex_train.parquet", columns=["latex_formula"])
    formulas += table["latex_formula"].to_pylist()[IM2LATEX_ROWS:]
    for name in ("crohme_captions_test2014.tsv", "crohme_truth_test2013.tsv"):
        with (shared / name).open(encoding="utf-8", newline="") as file:
            formulas += [
                row[-1].strip("$ ")
                for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            ]
    return frozenset(map(key, [*formulas, *map(normalize, formulas)]))


def usable(formulas: Iterable[str], left_out: Counter[str]) -> dict[str, str]:
    """Formulas by their key: short, of characters that all fonts have. The lists are valid LaTeX."""
    kept: dict[str, str] = {}
    for formula in formulas:
        formula = formula.strip()
        if not formula.isascii() or any(ord(character) < 32 for character in formula):
            left_out["characters"] += 1
        elif len(tokenize(formula)) > MAX_TOKENS:
            left_out["too long"] += 1
        elif formula:
            kept.setdefault(key(formula), formula)
    return kept


def main() -> None:
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    rows = parquet.read_table(shared / "im2latex_train.parquet", columns=["latex_formula"])
    known = [normalize(row) for row in rows["latex_formula"].to_pylist()[:IM2LATEX_ROWS]]
    (out / "im2latex_train.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    known *= 3
    kept_out = reported_keys(shared) | kept_for_sets()
    counts, found, report = {}, {}, {}
    for name, path in lists_of(shared).items():
        left_out: Counter[str] = Counter()
        lines = read_list(path)
        found[name] = usable(lines, left_out)
        counts[name] = len(lines), left_out
    # The same formula in another spelling, `\sin` as `\operatorname{sin}`, has the same normal form.
    kept_out |= {
        key(normalize(formula))
        for formulas in found.values()
        for formula_key, formula in formulas.items()
        if formula_key in kept_out
    }
    for name, formulas in found.items():
        lines, left_out = counts[name]
        train, dev = [], []
        for formula_key, formula in formulas.items():
            if kept_out.intersection((formula_key, key(normalize(formula)))):
                left_out["kept out"] += 1
            else:
                (dev if is_dev(formula_key) else train).append(formula)
        (out / f"{name}.txt").write_text("\n".join(train) + "\n", encoding="utf-8")
        (out / f"{name}.dev.txt").write_text("\n".join(dev) + "\n", encoding="utf-8")
        known += map(normalize, train)
        report[name] = {"lines": lines, "train": len(train), "dev": len(dev), **left_out}
        print(name, report[name], flush=True)
    (out / "lists.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    random = Random(0)
    known += [generate(random, tokens=40, depth=3) for _ in range(20_000)]
    known += [normalize(made(random)) for made in MADE_KINDS.values() for _ in range(2_000)]
    prompt = PromptConfig()
    tokenizer = build_tokenizer(
        known, phrases=(prompt.system, prompt.instruction), size=1536, min_count=8
    )
    tokenizer.save_pretrained(out / "tokenizer")


if __name__ == "__main__":
    main()
