"""Do rewards teach what more supervised training does not? Three arms of equal time, one start.

    python benchmarks/grpo_arms.py --model FOLDER --train im2latex_train.parquet --rows 0:6500 \\
        --held-out im2latex_val.parquet --minutes 60 --out runs/arms

`--model` is a whole model, such as `texlens merge` writes; for the rewards of the GRPO report one that
answers in tags (recipe `sft_tagged_small`), which all arms then do. The arms:

- `report`: GRPO with the rewards of the GRPO report (Small Model, Big Equations);
- `rendered`: GRPO with rewards of the rendered answer;
- `control`: supervised fine-tuning on the same pictures.

Each trains a new adapter of the same rank on the same layers for `--minutes`, the reading of dev
pictures not counted; its last weights read the held-out pictures, each once. An arm that has ended
is not trained again, one that was stopped goes on; `--set ARM.KEY=VALUE` changes an arm's recipe.

Writes `arms.md`: for every measure its value at the start, the paired change of each arm with its
95 % bootstrap interval, and the smallest effect that could have been seen (`paired.summary`); and
`values.json`, from which `across_seeds.py` compares runs of several seeds.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Any

import torch

from paired import FORMAT, Values, cell, changes, mean, read, summary, train, write_values
from texlens import runs
from texlens.metrics.columns import BOOTSTRAP_SIGNATURE
from texlens.reading import Reader
from texlens.train.config import load_recipe, parse_changes
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.settings import DevSet
from texlens.train.sft.settings import SftConfig

REPORT_REWARDS = {
    "tag_presence": 1,
    "tag_order": 1,
    "validity_similarity": 1,
    "exact_match_bonus": 1,
}
ARMS = ("report", "rendered", "control")


def recipes(arguments: argparse.Namespace) -> dict[str, GrpoConfig | SftConfig]:
    """The three arms' settings: the shipped recipes with what they share."""
    shared: dict[str, Any] = {
        "model": str(arguments.model),
        "adapter": None,
        "minutes": arguments.minutes,
        "max_steps": None,
        "num_train_epochs": None,
        "data": [{"parquet": str(arguments.train), "rows": arguments.rows}],
        "dev": [],
        "trainable_modules": ["language_model"],
        "lora": {"r": 16, "lora_alpha": 32},
        "precision": "bfloat16",
        "seed": arguments.seed,
    }
    if arguments.dev is not None:
        shared["dev"] = [{"name": "dev", "parquet": str(arguments.dev), "rows": arguments.dev_rows,
                          "sample": 100}]  # fmt: skip
    shared["metric_for_best_model"] = None
    grpo = shared | {
        "adapter_use": "continue",
        "learning_rate": 1.0e-3,
        "temperature": 1.0,
        "num_generations": 8,
    }
    own: dict[str, dict[str, Any]] = {
        "report": grpo | {"rewards": REPORT_REWARDS},
        "rendered": grpo,
        "control": shared,
    }
    for setting in arguments.set:
        arm, _, rest = setting.partition(".")
        if arm not in own:
            raise SystemExit(f"--set {setting}: begin with one of {', '.join(ARMS)}.")
        own[arm] |= parse_changes([rest])
    return {
        "report": load_recipe("grpo_small", GrpoConfig, own["report"]),
        "rendered": load_recipe("grpo_small", GrpoConfig, own["rendered"]),
        "control": load_recipe("sft_printed_small", SftConfig, own["control"]),
    }


def table(values: dict[str, Values], summaries: dict[str, Any]) -> str:
    """The result in Markdown."""
    start = values["start"]
    heads = [f"{arm}: change [95 %], detectable" for arm in summaries]
    lines = [f"| measure | start | {' | '.join(heads)} |", f"|---|---:|{'---:|' * len(heads)}"]
    for key, before in start.items():
        cells = [cell(summary(changes(before, values[arm][key]))) for arm in summaries]
        lines.append(f"| {key} | {mean(before):.3f} | {' | '.join(cells)} |")
    lines += ["", "| arm | steps | minutes | prompts kept |", "|---|---:|---:|---|"]
    for arm, found in summaries.items():
        kept = found["data"].get("prefilter", "all")
        lines.append(f"| {arm} | {found['step']} | {found['minutes']:.1f} | {kept} |")
    return "\n".join(lines) + "\n"


def _range(text: str) -> tuple[int, int]:
    start, _, stop = text.partition(":")
    return int(start), int(stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--rows", type=_range, default=None)
    parser.add_argument("--dev", type=Path, default=None, help="read while training, for curves")
    parser.add_argument("--dev-rows", type=_range, default=None)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument(
        "--unconstrained", action="store_true", help="read without constrained decoding"
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--set", action="append", default=[], metavar="ARM.KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    held_out = DevSet(name="heldout", parquet=arguments.held_out, sample=arguments.items)
    out, model = arguments.out, arguments.model

    def values_of(name: str, adapter: Path | None) -> Values:
        reader = Reader(model, adapter, constrained=not arguments.unconstrained, reread=False)
        return read(reader, held_out, out, name)

    values = {"start": values_of("start", None)}
    summaries: dict[str, Any] = {}
    configs = recipes(arguments)
    for arm in arguments.arms:
        summaries[arm] = train(configs[arm], out / arm)
        values[arm] = values_of(arm, out / arm / "adapter")
    write_values(values, out)
    text = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads; {arguments.minutes:g} minutes an arm, seed {arguments.seed}; "
        f"{len(values['start'][FORMAT])} pictures of {arguments.held_out.name}, "
        f"{BOOTSTRAP_SIGNATURE}\n\n" + table(values, summaries)
    )
    runs.write_text(out / "arms.md", text)
    print(text)


if __name__ == "__main__":
    main()
