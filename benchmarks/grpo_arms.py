"""Do rewards teach what more supervised training does not? Three arms of equal time, one start.

    python benchmarks/grpo_arms.py --model FOLDER --train im2latex_train.parquet --rows 0:6500 \\
        --held-out im2latex_val.parquet --minutes 60 --out runs/arms

`--model` is a whole model, such as `texlens merge` writes; for the published rewards one that
answers in tags (recipe `sft_tagged_small`), which all arms then do. The arms:

- `published`: GRPO with the published rewards;
- `ours`: GRPO with the rewards of the drawn answer, on prompts chosen by pass rate; the time that
  choosing takes is part of the arm's;
- `control`: supervised fine-tuning on the same pictures.

Each trains a new adapter of the same rank on the same layers for `--minutes`, the reading of dev
pictures not counted; its last weights read the held-out pictures, each once. An arm that has ended
is not trained again, one that was stopped goes on; `--set ARM.KEY=VALUE` changes an arm's recipe.

Writes `arms.md` and `arms.json`: for every measure its value at the start, the paired change of
each arm with its 95 % bootstrap interval, and the smallest effect that a paired comparison of so
many pictures would have found in 4 of 5 cases (two-sided, 5 %). `format` is the share of answers
that ended by themselves and could be taken out of the response.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from texlens import runs
from texlens.latex import normalize
from texlens.metrics.base import BOOTSTRAP_SIGNATURE, interval, resampled_totals
from texlens.metrics.batches import Plan
from texlens.metrics.scoring import score_predictions
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Prediction
from texlens.train.config import load_recipe, parse_changes
from texlens.train.config_grpo import GrpoConfig
from texlens.train.config_sft import SftConfig
from texlens.train.config_tuning import DevSet
from texlens.train.examples import dev_examples
from texlens.train.tuning_run import MARKER

METRICS = ("layout", "exprate_cdm", "cdm", "rouge_l", "exact", "brace_valid", "katex_valid")
FORMAT = "format"
PUBLISHED = {"tag_presence": 1, "tag_order": 1, "validity_similarity": 1, "exact_match_bonus": 1}
_ONE_IN_TWENTY, _FOUR_OF_FIVE = 1.960, 0.842  # quantiles of the normal distribution
ARMS = ("published", "ours", "control")

Values = dict[str, list[float | None]]  # by measure, of every held-out picture in order


def recipes(arguments: argparse.Namespace) -> dict[str, GrpoConfig | SftConfig]:
    """The three arms' settings: the shipped recipes with what they share."""
    shared: dict[str, Any] = {
        "model": str(arguments.model),
        "adapter": None,
        "minutes": arguments.minutes,
        "steps": None,
        "epochs": None,
        "data": [{"parquet": str(arguments.train), "rows": arguments.rows}],
        "dev": [],
        "parts": ["language_model"],
        "lora": {"rank": 16, "alpha": 32},
        "precision": "bfloat16",
        "seed": arguments.seed,
    }
    if arguments.dev is not None:
        shared["dev"] = [{"name": "dev", "parquet": str(arguments.dev), "rows": arguments.dev_rows,
                          "sample": 100}]  # fmt: skip
    shared["best"] = None
    grpo = shared | {"adapter_use": "continue"}
    own: dict[str, dict[str, Any]] = {
        "published": grpo | {"rewards": PUBLISHED, "prefilter": None},
        "ours": grpo,
        "control": shared | {"learning_rate": 1.0e-4},
    }
    for setting in arguments.set:
        arm, _, rest = setting.partition(".")
        if arm not in own:
            raise SystemExit(f"--set {setting}: begin with one of {', '.join(ARMS)}.")
        own[arm] |= parse_changes([rest])
    return {
        "published": load_recipe("grpo_small", GrpoConfig, own["published"]),
        "ours": load_recipe("grpo_small", GrpoConfig, own["ours"]),
        "control": load_recipe("sft_printed_small", SftConfig, own["control"]),
    }


def train(config: GrpoConfig | SftConfig, out: Path) -> dict[str, Any]:
    """Train an arm, unless it has ended; what its `run.json` holds."""
    if (out / MARKER).is_file():
        finished: dict[str, Any] = json.loads((out / MARKER).read_text())
        return finished
    if isinstance(config, GrpoConfig):
        from texlens.train.grpo import train_grpo

        return train_grpo(config, out)
    from texlens.train.sft import train_sft

    return train_sft(config, out)


def read(model: Path, adapter: Path | None, held_out: DevSet, out: Path, name: str) -> Values:
    """The value of every measure on every held-out picture; the readings go into `out`."""
    examples = dev_examples(held_out)
    reader = Reader(model, adapter, second_look=False)
    readings = list(reader.read_many([Item(str(i), e.image) for i, e in enumerate(examples)]))
    predictions = [
        Prediction(e.id, " ".join(normalize(e.latex_formula).split()), reading.latex)
        for e, reading in zip(examples, readings, strict=True)
    ]
    runs.write_json_lines(
        out / f"{name}.jsonl", ({"id": p.id, "gt": p.gt, "pred": p.pred} for p in predictions)
    )
    items = score_predictions(predictions, Plan(METRICS), quiet=True).items
    values: Values = {key: [item.values[key] for item in items] for key in METRICS}
    values[FORMAT] = [
        float(not {"unfinished", "no_answer"} & set(reading.warnings)) for reading in readings
    ]
    return values


def compare(start: Sequence[float | None], arm: Sequence[float | None]) -> dict[str, float]:
    """The paired change of a measure: mean, 95 % interval, and the smallest that could be seen."""
    pairs = [(a, b) for a, b in zip(start, arm, strict=True) if a is not None and b is not None]
    change = np.array([after - before for before, after in pairs])
    low, high = interval(resampled_totals(change[:, None])[:, 0] / len(change))
    error = float(change.std(ddof=1)) / len(change) ** 0.5
    return {
        "n": len(change),
        "change": float(change.mean()),
        "low": low,
        "high": high,
        "detectable": (_ONE_IN_TWENTY + _FOUR_OF_FIVE) * error,
    }


def table(
    start: Values, changes: dict[str, dict[str, dict[str, float]]], summaries: dict[str, Any]
) -> str:
    """The result in Markdown."""
    heads = [f"{arm}: change [95 %], detectable" for arm in changes]
    lines = [f"| measure | start | {' | '.join(heads)} |", f"|---|---:|{'---:|' * len(heads)}"]
    for key, values in start.items():
        known = [value for value in values if value is not None]
        cells = [
            f"{c['change']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}], {c['detectable']:.4f}"
            for c in (change[key] for change in changes.values())
        ]
        lines.append(f"| {key} | {sum(known) / len(known):.4f} | {' | '.join(cells)} |")
    lines += ["", "| arm | steps | minutes | prompts kept |", "|---|---:|---:|---|"]
    for arm, summary in summaries.items():
        kept = summary["data"].get("prefilter", "all")
        lines.append(f"| {arm} | {summary['step']} | {summary['minutes']:.1f} | {kept} |")
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
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--set", action="append", default=[], metavar="ARM.KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)

    held_out = DevSet(name="heldout", parquet=arguments.held_out, sample=arguments.items)
    start = read(arguments.model, None, held_out, arguments.out, "start")
    changes: dict[str, dict[str, dict[str, float]]] = {}
    summaries: dict[str, Any] = {}
    configs = recipes(arguments)
    for arm in arguments.arms:
        summaries[arm] = train(configs[arm], arguments.out / arm)
        adapter = arguments.out / arm / "adapter"
        values = read(arguments.model, adapter, held_out, arguments.out, arm)
        changes[arm] = {key: compare(start[key], values[key]) for key in start}
    text = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads; {arguments.minutes:g} minutes an arm, seed {arguments.seed}; "
        f"{len(start[FORMAT])} pictures of {arguments.held_out.name}, {BOOTSTRAP_SIGNATURE}\n\n"
        + table(start, changes, summaries)
    )
    runs.write_text(arguments.out / "arms.md", text)
    runs.write_json(
        arguments.out / "arms.json",
        {
            "changes": changes,
            "start": start,
            "runs": summaries,
        },
    )
    print(text)


if __name__ == "__main__":
    main()
