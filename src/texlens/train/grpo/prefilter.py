"""Choosing prompts by the answers of the start model.

Advantages are differences within a group. Where all answers are right, or all wrong, there are
none, and the time of the step is lost. So the start model answers every prompt a few times first,
and only prompts with right and wrong answers are kept.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.runs import progress, write_json_lines
from texlens.train.grpo.groups import open_groups, sample_answers, score_answers
from texlens.train.grpo.prompts import Prompts
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.rewards.functions import BatchRewards, RewardSettings
from texlens.train.run.curves import append_log, read_log
from texlens.train.run.processes import (
    from_main,
    is_main_process,
    joined,
    my_share,
    process_count,
)

PASS_RATES = "prefilter.jsonl"
_LOOKS_EQUAL = 1 - 1e-9  # of `layout`


def prefilter(
    prompts: Prompts,
    loaded: Loaded,
    config: GrpoConfig,
    out: Path,
    *,
    sampling: Sampling,
    settings: RewardSettings,
    quiet: bool = False,
) -> Prompts:
    """The prompts that the model answers sometimes right and sometimes wrong.

    An answer is right when its normal form is the reference's, or both render alike (`layout` 1).
    Writes `prefilter.jsonl` into `out`, one line per prompt: id, answers, right, temperature.
    Prompts with a line are not answered again, so that a killed run can be resumed. The processes of a
    run share the batches.

    Raises InputError when too few prompts are left for one step.
    """
    limits = config.prefilter
    assert limits is not None
    count, size = limits.num_generations, limits.batch_size
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(prompts), generator=random).tolist()[: limits.max_prompts]
    path, ids, table = out / PASS_RATES, prompts.ids, prompts.table()
    known = from_main(
        {
            record["id"]: record
            for record in read_log(path)
            if (record["answers"], record["temperature"]) == (count, config.temperature)
        }
    )
    batches = [order[first : first + size] for first in range(0, len(order), size)]
    missing = [
        (number, places)
        for number, places in enumerate(batches)
        if any(ids[place] not in known for place in places)
    ]
    if missing and is_main_process():
        write_json_lines(path, known.values())  # without the line that a kill cut short
    sampler, rewards = Sampler(loaded.model), BatchRewards({"layout": 1.0}, settings)

    def answered(number: int, places: list[int]) -> list[dict[str, Any]]:
        """The records of a batch of prompts."""
        torch.manual_seed(config.seed + number)  # the same answers in a run that was resumed
        groups = open_groups(
            loaded.processor, [row for row in table.select(places) for _ in range(count)]
        )
        sample_answers(groups, sampler, sampling, loaded.processor.tokenizer)
        score_answers(groups, rewards, loaded.processor.tokenizer)
        return [
            {
                "id": group.row["id"],
                "answers": count,
                "right": sum(s.exact or s.rewards["layout"] >= _LOOKS_EQUAL for s in group.scored),
                "temperature": config.temperature,
            }
            for group in groups
        ]

    processes = process_count()
    rounds = [missing[first : first + processes] for first in range(0, len(missing), processes)]
    quiet = quiet or not is_main_process()
    for batches_at_once in progress(rounds, total=len(rounds), unit="batches", quiet=quiet):
        mine = [answered(number, places) for number, places in my_share(batches_at_once)]
        for record in itertools.chain.from_iterable(joined(mine, len(batches_at_once))):
            if known.setdefault(record["id"], record) is record and is_main_process():
                append_log(path, record)
    rates = [known[ids[place]]["right"] for place in order]
    kept = [place for place, rate in zip(order, rates, strict=True) if 0 < rate < count]
    counts = {
        "answered": len(order),
        "always right": rates.count(count),
        "never right": rates.count(0),
        "kept": len(kept),
    }
    if len(kept) < config.groups_per_step():
        raise InputError(
            f"The prefilter keeps {len(kept)} of {len(order)} prompts ({counts['always right']} "
            f"always right, {counts['never right']} never), fewer than a step takes: give it more "
            "max_prompts or num_generations, or train without it."
        )
    chosen = prompts.select(kept)
    return replace(chosen, record=prompts.record | {"prefilter": counts})
