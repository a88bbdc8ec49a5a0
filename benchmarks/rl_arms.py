"""Do rewards teach what more supervised training does not? Arms of equal time from one start, one seed.

    python benchmarks/rl_arms.py --model FOLDER --train im2latex_train.parquet --rows 0:6500 \\
        --held-out im2latex_train.parquet --held-out-rows 6500:7000 --minutes 8 --out runs/arms/0

`benchmarks/rl_arms.sh` runs it for several seeds. `--model` is a whole model, such as `texlens merge`
writes. The arms:

- `sft`: more supervised fine-tuning on the same pictures;
- `sft_prompts`: the same on the pictures of `--prompts-from` alone;
- `rft`: rejection sampling, the best of its own answers, then supervised fine-tuning on them;
- `grpo_text`: GRPO with rewards of the answer's text (braces, ROUGE-L, equality: the GRPO report's
  without its tags);
- `grpo_drawn`: GRPO with rewards of the rendered answer (`cdm`, `layout`);
- `grpo_picture`: GRPO with a reward of the rendered answer and the picture, without references.

Each trains a new adapter of the same rank on the same layers for `--minutes` of training, sampling and
choosing included, loading and the probe of the memory not. Its last weights read the held-out pictures, each
once and unconstrained. Nothing is chosen on them here. An arm that has ended is not trained again, one that
was stopped goes on; `--set ARM.KEY=VALUE` changes an arm's recipe, `--set grpo.KEY=VALUE` that of all arms of
GRPO.

Writes `arms.md`: for every measure the value at the start, the paired change of each arm with its 95 %
bootstrap interval and the smallest effect that could have been seen (`paired.summary`); the same against
`sft`; and the speed of each arm with the share of each stage of a step. `values.json` is for
`across_seeds.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from paired import FORMAT, Values, cell, changes, mean, read, summary, train, write_values
from texlens import runs
from texlens.errors import TexlensError
from texlens.metrics.columns import BOOTSTRAP_SIGNATURE
from texlens.model.prompt_config import prompt_config_of
from texlens.reading import Reader
from texlens.tables import markdown_table
from texlens.train.config import load_recipe, parse_changes
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.rft.settings import RftConfig
from texlens.train.run.curves import read_log
from texlens.train.run.stages import PREFIX, STAGES
from texlens.train.settings import DevSet
from texlens.train.sft.settings import SftConfig

ARMS = ("sft", "sft_prompts", "rft", "grpo_text", "grpo_drawn", "grpo_picture")
DEFAULT_ARMS = ("sft", "rft", "grpo_text", "grpo_drawn")
REWARDS = {
    "grpo_text": {"validity_similarity": 1, "exact_match_bonus": 1},
    "grpo_drawn": {"cdm": 1, "layout": 1, "exact": 0.5},
    "grpo_picture": {"picture": 1},
}
_SAMPLING_SHARE = 0.4  # of the minutes of RFT, at most


def recipes(options: argparse.Namespace) -> dict[str, SftConfig | RftConfig | GrpoConfig]:
    """The settings of each arm: the shipped recipes with what the arms share."""
    shared: dict[str, Any] = {
        "model": str(options.model),
        "adapter": None,
        "minutes": options.minutes,
        "max_steps": None,
        "num_train_epochs": None,
        "data": [{"parquet": str(options.train), "rows": options.rows}],
        "dev": [],
        "metric_for_best_model": None,
        "trainable_modules": ["language_model"],
        "lora": {"r": 16, "lora_alpha": 32},
        "precision": "auto",
        "seed": options.seed,
        "prompt_config.max_new_tokens": options.max_new_tokens,
        "report_to": [],
        "logging_steps": 1,
        "save_steps": 100_000,
    }
    if options.dev_sample:
        dev = {"name": "dev", "parquet": str(options.held_out), "rows": options.held_out_rows}
        shared |= {"dev": [dev | {"sample": options.dev_sample}], "eval_steps": options.dev_steps}
    middling = None
    if options.prefilter_prompts:
        middling = {
            "num_generations": 8,
            "max_prompts": options.prefilter_prompts,
            "batch_size": 64,
        }
    prompts = shared["data"]
    if options.prompts_from is not None:
        prompts = [{"parquet": str(options.prompts_from)}]
    pictures = prompts
    if options.pictures_from is not None:
        pictures = [{"parquet": str(options.pictures_from)}]
    supervised = {"per_device_train_batch_size": options.sft_batch, "learning_rate": 2.0e-4}
    sampling = {"num_generations": options.answers, "temperature": options.temperature}
    own: dict[str, dict[str, Any]] = {
        "sft": shared | supervised,
        "sft_prompts": shared | supervised | {"data": prompts},
        "rft": shared
        | supervised
        | {"data": prompts}
        | {f"answers.{name}": value for name, value in sampling.items()}
        | {
            "answers.batch_size": options.prompts,
            "answers.minutes": options.minutes * _SAMPLING_SHARE,
        },
    }
    for arm, rewards in REWARDS.items():
        own[arm] = (
            shared
            | sampling
            | {
                "data": pictures if arm == "grpo_picture" else prompts,
                "adapter_use": "continue",
                "rewards": rewards,
                "per_device_train_batch_size": options.prompts * options.answers,
                "learning_rate": options.grpo_learning_rate,
                "epsilon_high": 0.28,
                "resampling_rounds": 1,
                "prefilter": middling,
                "completion_page_steps": 100,
            }
        )
    for setting in options.set:
        arm, _, rest = setting.partition(".")
        named = [name for name in own if arm in (name, name.partition("_")[0])]
        if not named:
            raise SystemExit(f"--set {setting}: begin with one of {', '.join(ARMS)}.")
        for name in named:
            own[name] |= parse_changes([rest])
    supervised_recipe = ("sft_printed_small", SftConfig)
    kinds = {
        "sft": supervised_recipe,
        "sft_prompts": supervised_recipe,
        "rft": ("rft_small", RftConfig),
    }  # the others: GRPO
    return {
        arm: load_recipe(*kinds.get(arm, ("grpo_small", GrpoConfig)), own[arm])
        for arm in options.arms
    }


def differences(values: dict[str, Values], before: str) -> str:
    """Paired changes of every measure from one reading to each later one, in Markdown."""
    others = [name for name in values if name not in ("start", before)]
    rows = [
        (
            key,
            f"{mean(own):.3f}",
            *(cell(summary(changes(own, values[name][key]))) for name in others),
        )
        for key, own in values[before].items()
    ]
    return markdown_table(
        ("measure", before, *(f"{o}: change [95 %], detectable" for o in others)), rows
    )


def speeds(out: Path, summaries: dict[str, Any]) -> str:
    """Steps, minutes and speed of each arm, and what part of a step each stage takes."""
    rows = []
    for arm, found in summaries.items():
        log = [record for record in read_log(out / arm / "log.jsonl") if "loss" in record]
        later = log[1:] or log  # the first line has the time of warming up
        if not later:
            continue
        seconds = {s: fmean(r.get(PREFIX + s, 0.0) for r in later) for s in STAGES}
        whole = sum(seconds.values()) or 1.0
        stages = ", ".join(f"{s} {t / whole:.0%}" for s, t in seconds.items() if t / whole >= 0.005)
        dead = [r["dead_groups"] for r in log if "dead_groups" in r]
        answers = out / arm / "answers.json"
        chosen = json.loads(answers.read_text()) if answers.is_file() else None
        kept = f"{chosen['kept']} of {chosen['answered']}" if chosen else "-"
        rows.append(
            (
                arm,
                str(found["step"]),
                f"{found['minutes'] + (chosen['minutes'] if chosen else 0):.2f}",
                f"{fmean(r['examples_per_second'] for r in later):.0f}",
                f"{fmean(r['answers'] for r in later):.0f}" if "answers" in later[0] else "-",
                f"{fmean(dead):.0%}" if dead else "-",
                kept,
                stages,
            )
        )
    header = (
        "arm",
        "steps",
        "minutes",
        "examples/s",
        "answers a step",
        "dead groups",
        "kept",
        "stages of a step",
    )
    return markdown_table(header, rows)


def _range(text: str) -> tuple[int, int]:
    start, _, stop = text.partition(":")
    return int(start), int(stop)


def options_parser() -> argparse.ArgumentParser:
    """The options; also for what trains single arms by these recipes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--rows", type=_range, default=None)
    parser.add_argument("--prompts-from", type=Path, help="of RFT and GRPO; None: those of SFT")
    parser.add_argument("--pictures-from", type=Path, help="of grpo_picture, without LaTeX")
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--held-out-rows", type=_range, default=None)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--dev-sample", type=int, default=0, help="read while training, for curves")
    parser.add_argument("--dev-steps", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--prompts", type=int, default=64, help="of a step of GRPO")
    parser.add_argument("--answers", type=int, default=16, help="to each prompt")
    parser.add_argument(
        "--prefilter-prompts",
        type=int,
        default=3000,
        help="answered to choose middling ones; 0: none",
    )
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--max-new-tokens", type=int, default=200)
    parser.add_argument("--sft-batch", type=int, default=64)
    parser.add_argument("--grpo-learning-rate", type=float, default=3e-4)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(DEFAULT_ARMS))
    parser.add_argument("--set", action="append", default=[], metavar="ARM.KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main() -> None:
    options = options_parser().parse_args()
    rows = options.held_out_rows
    held_out = DevSet(name="heldout", parquet=options.held_out, rows=rows, sample=options.items)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)

    # The limit of the training is in the adapters' prompt configurations.
    longest = prompt_config_of(str(options.model), None).max_new_tokens

    def values_of(name: str, adapter: Path | None) -> Values:
        reader = Reader(
            options.model, adapter, constrained=False, reread=False, max_new_tokens=longest
        )
        return read(reader, held_out, out, name)

    values = {"start": values_of("start", None)}
    summaries: dict[str, Any] = {}
    failures: list[str] = []
    for arm, config in recipes(options).items():
        print(f"--- {arm}, seed {options.seed}", flush=True)
        try:
            summaries[arm] = train(config, out / arm)
        except TexlensError as error:  # the other arms are still worth their time
            failures.append(f"- {arm}: {error}")
            continue
        values[arm] = values_of(arm, out / arm / "adapter")
        write_values(values, out)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    head = (
        f"{card}, {os.cpu_count()} cores; {options.minutes:g} minutes an arm, seed {options.seed}; "
        f"{len(values['start'][FORMAT])} pictures of {options.held_out.name}, {BOOTSTRAP_SIGNATURE}"
    )
    parts = [head, differences(values, "start")]
    if "sft" in values and len(values) > 2:
        parts.append(differences(values, "sft"))
    parts += [speeds(out, summaries), "\n".join(failures)]
    text = "\n\n".join(part for part in parts if part) + "\n"
    runs.write_text(out / "arms.md", text)
    print(text)


if __name__ == "__main__":
    main()
