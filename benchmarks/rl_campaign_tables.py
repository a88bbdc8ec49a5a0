"""The tables of a campaign (`rl_campaign.py`), in Markdown, from the files that it leaves.

    python benchmarks/rl_campaign_tables.py runs/campaign > tables.md

For each start and set: the start's value of every measure, and of each arm the paired change, averaged over
its seeds first, with its 95 % bootstrap interval over pictures and the minimum detectable effect
(`paired.summary`); the same against SFT of the same seed. Which rate SFT has is decided by dev. Then the pass
rates of the starts, the speed of each arm, and the settings of GRPO on dev.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paired import Values, cell, changes, mean, read_values, summary
from rl_arms import speeds
from rl_campaign import CHOSEN_BY
from texlens.tables import markdown_table

SETS = ("dev", "im2latex", "screens", "crohme2014")
MEASURES = (
    "exact", "exprate_cdm", "cdm", "layout", "rouge_l", "brace_valid", "katex_valid", "format", "length"
)  # fmt: skip
BEFORE = "start"

BySeed = dict[int, dict[str, Values]]
"""By seed, and by set."""


def reported(campaign: Path) -> dict[str, dict[str, BySeed]]:
    """What was read: by start, and by arm."""
    found: dict[str, dict[str, BySeed]] = defaultdict(lambda: defaultdict(dict))
    for folder in sorted((campaign / "reported").glob("*-*-*")):
        start, arm, seed = folder.name.split("-")
        if (folder / "values.json").is_file():
            found[start][arm][int(seed)] = read_values(folder)
    return found


def change(before: BySeed, after: BySeed, name: str, measure: str) -> str:
    """A paired change, averaged over the seeds of the later one; "-" where one is missing."""
    each = [
        changes(before[seed if seed in before else 0][name][measure], values[name][measure])
        for seed, values in after.items()
        if name in values and name in before[seed if seed in before else 0]
    ]
    return cell(summary(np.mean(each, axis=0))) if each else "-"


def comparison(arms: Mapping[str, BySeed], before: str, others: Sequence[str], name: str) -> str:
    """Every measure of one set: the value of `before`, and the changes of the others."""
    own = arms[before]
    rows = [
        (
            measure,
            f"{np.mean([mean(values[name][measure]) for values in own.values()]):.4f}",
            *(change(own, arms[other], name, measure) for other in others),
        )
        for measure in MEASURES
    ]
    seeds = [f"{other} ({len(arms[other])})" for other in others]
    return markdown_table(("measure", f"{before} ({len(own)})", *seeds), rows)


def better_sft(arms: Mapping[str, BySeed]) -> str | None:
    """The SFT that is better on dev."""

    def on_dev(arm: str) -> tuple[float, ...]:
        return tuple(mean(arms[arm][0]["dev"][key]) for key in CHOSEN_BY)

    there = [arm for arm in ("sft", "sft_low_rate") if 0 in arms.get(arm, {})]
    return max(there, key=on_dev, default=None)


def on_dev(campaign: Path) -> str:
    """All arms on dev, the short ones that try settings of GRPO included."""
    rows = []
    for folder in sorted((campaign / "arms").iterdir()):
        if (folder / "values.json").is_file():
            values = read_values(folder)["dev"]
            rows.append((folder.name, *(f"{mean(values[m]):.4f}" for m in MEASURES)))
    return markdown_table(("arm", *MEASURES), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("campaign", type=Path)
    campaign: Path = parser.parse_args().campaign
    for path in sorted(campaign.glob("prompts-*/prompts.json")):
        print(f"{path.parent.name}: {json.loads(path.read_text())}\n")
    for start, arms in reported(campaign).items():
        if BEFORE not in arms:
            continue
        sft = better_sft(arms)
        for name in SETS:
            if name not in arms[BEFORE][0]:
                continue
            count = len(arms[BEFORE][0][name]["exact"])
            print(f"## {start} start, {name}, n {count}; in brackets the seeds\n")
            others = [arm for arm in arms if arm != BEFORE]
            print(comparison(arms, BEFORE, others, name) + "\n")
            if sft is not None:
                print(comparison(arms, sft, [arm for arm in others if arm != sft], name) + "\n")
    print("## dev, last weights\n\n" + on_dev(campaign) + "\n")
    summaries: dict[str, Any] = {
        f"{folder.name}/run": json.loads((folder / "run" / "run.json").read_text())
        for folder in sorted((campaign / "arms").iterdir())
        if (folder / "run" / "run.json").is_file()
    }
    print("## speed\n\n" + speeds(campaign / "arms", summaries))


if __name__ == "__main__":
    main()
