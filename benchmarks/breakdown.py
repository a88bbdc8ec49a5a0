"""What one figure of a set hides: spaces, the size of type, and the size at which pictures are read.

    python benchmarks/breakdown.py spaces SCORES/            # exact match, with and without any space
    python benchmarks/breakdown.py type SCORES/ tools/pretrain/sets/print.dev.tsv
    python benchmarks/breakdown.py reading DATA.parquet MODEL [--pixels-per-em 18.4 22.1 26.6 31]

SCORES is the folder of `texlens evaluate`. `type` groups a set's items by pixels per em (for pages of
a browser: by their scale) and by what was done to the picture, with ExpRate@CDM. `reading` reads every
picture once at each size of type and gives the exact match.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from texlens.data.parquet import read_examples
from texlens.latex import normalize
from texlens.metrics.columns import interval, resampled_totals
from texlens.metrics.predictions import read_predictions
from texlens.model.prompt_config import prompt_config_of
from texlens.reading import Reader
from texlens.reading.sources import Item

_SPACES = frozenset(
    ["~", r"\,", r"\;", r"\:", r"\!", r"\>", "\\ ", r"\quad", r"\qquad", r"\enspace"]
)
_SPACE_OF_LENGTH = re.compile(r"\\[hv]space \{[^}]*\}")


def without_spaces(latex: str) -> str:
    """Normal form without any command of space."""
    tokens = _SPACE_OF_LENGTH.sub("", normalize(latex)).split()
    return normalize(" ".join(token for token in tokens if token not in _SPACES))


def spaces(scores: Path) -> None:
    """Exact match of a file of predictions, with and without any space."""
    predictions = read_predictions(scores / "predictions.jsonl")
    pairs = [(p.gt, p.pred) for p in predictions]
    for name, form in (("exact", normalize), ("without any space", without_spaces)):
        show(name, [float(form(reference) == form(answer)) for reference, answer in pairs])


def by_type(scores: Path, recipe: Path) -> None:
    """ExpRate@CDM by pixels per em, and by what was done to the picture."""
    with recipe.open(encoding="utf-8", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream, delimiter="\t")}
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in (scores / "items.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        value = item["metrics"].get("exprate_cdm")
        if value is None:
            continue
        row = rows[item["id"]]
        unit = "pixels per em" if row["renderer"] == "pdftex" else "scale of a browser"
        groups[unit, f"{float(row['scale']):5.1f}"].append(value)
        for name in json.loads(row["look"]) or ("nothing, as rendered",):
            groups["with", name].append(value)
    for (kind, name), values in sorted(groups.items()):
        show(f"{kind} {name}", values)


def by_reading_size(data: Path, model: str, sizes: list[float]) -> None:
    """Exact match of one reading, by the size of type to which pictures are brought."""
    examples = list(read_examples(data))
    references = [normalize(example.latex_formula) for example in examples]
    right = []
    for size in sizes:
        own = prompt_config_of(model)
        prompt = own.model_copy(update={"pixels_per_em": size})
        reader = Reader(model, reread=False, prompt=prompt)
        readings = reader.read_many([Item(e.id, e.image) for e in examples])
        answers = [normalize(reading.latex) for reading in readings]
        right.append([float(a == b) for a, b in zip(answers, references, strict=True)])
        show(f"{size:g} pixels per em", right[-1])
    show("one of these", np.max(right, axis=0).tolist())


def show(name: str, values: list[float]) -> None:
    """A line of the table: mean, 95 % bootstrap interval, n."""
    totals = resampled_totals(np.array(values)[:, None])[:, 0] / len(values)
    low, high = interval(totals)
    print(f"{name:30} {np.mean(values):.3f}  [{low:.3f}, {high:.3f}]  n {len(values)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("spaces")
    command.add_argument("scores", type=Path)
    command = commands.add_parser("type")
    command.add_argument("scores", type=Path)
    command.add_argument("recipe", type=Path)
    command = commands.add_parser("reading")
    command.add_argument("data", type=Path)
    command.add_argument("model")
    command.add_argument(
        "--pixels-per-em", type=float, nargs="+", default=[18.4, 22.1, 26.6, 31, 35.4]
    )
    options = parser.parse_args()
    if options.command == "spaces":
        spaces(options.scores)
    elif options.command == "type":
        by_type(options.scores, options.recipe)
    else:
        by_reading_size(options.data, options.model, options.pixels_per_em)


if __name__ == "__main__":
    main()
