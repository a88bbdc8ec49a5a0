"""Does training on print alone harm handwriting, and does rehearsal repair it? One seed.

    python benchmarks/two_stages.py --base FOLDER --seed 1 --steps 288 260 --out runs/stages-1 \\
        --printed im2latex_val.parquet --handwritten crohme_2014.parquet

Trains the recipes `sft_printed_small` and, from its adapter, `sft_handwritten_small` for `--steps`
steps, in `OUT/stage1` and `OUT/stage2`; their data must be there. A finished stage is not trained
again, an interrupted one continues. Base and both stages then read the same `--items` pictures,
printed and handwritten, once and unconstrained; `--set stage2.KEY=VALUE` changes one stage. `values.json` has the metrics of each reading.
`across_seeds.py` makes the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from batch_reading import BatchReader
from paired import train, write_values
from texlens.train.config import load_recipe, parse_changes
from texlens.train.settings import DevSet
from texlens.train.sft.settings import SftConfig
from texlens.workers import usable_cpus

RECIPES = {"stage1": "sft_printed_small", "stage2": "sft_handwritten_small"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--steps", type=int, nargs=2, default=(288, 260), help="of each stage; 0: an epoch"
    )
    parser.add_argument("--printed", type=Path, required=True)
    parser.add_argument("--handwritten", type=Path, required=True)
    parser.add_argument("--items", type=int, default=300, help="0: all")
    parser.add_argument("--batch", type=int, default=128, help="pictures read at once")
    parser.add_argument("--set", action="append", default=[], metavar="[STAGE.]KEY=VALUE")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    sets = [
        DevSet(name="printed", parquet=arguments.printed, sample=arguments.items or None),
        DevSet(name="handwritten", parquet=arguments.handwritten, sample=arguments.items or None),
    ]
    values = {}
    adapter: Path | None = None
    for name in ("base", *RECIPES):
        if name in RECIPES:
            steps = arguments.steps[list(RECIPES).index(name)]
            own = {
                "model": str(arguments.base),
                "adapter": None if adapter is None else str(adapter),
                "seed": arguments.seed,
                "max_steps": steps or None,
                "num_train_epochs": None if steps else 1,
                "precision": "bfloat16",
            }
            changes = [c for c in arguments.set if not c.startswith("stage")]
            changes += [c.partition(".")[2] for c in arguments.set if c.startswith(f"{name}.")]
            config = load_recipe(RECIPES[name], SftConfig, own | parse_changes(changes))
            train(config, out / name)
            adapter = out / name / "adapter"
        reader = BatchReader(arguments.base, adapter, batch=arguments.batch)
        for pictures in sets:
            key = f"{name}_{pictures.name}"
            values[key] = reader.read([pictures], out, key, unseen=False, workers=usable_cpus())
    write_values(values, out)


if __name__ == "__main__":
    main()
