"""Choosing prompts by the answers of the start model.

Advantages are differences within a group. Where all answers are right, or all wrong, there are
none, and the time of the step is lost. So the start model answers every prompt a few times first,
and only prompts with right and wrong answers are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.runs import progress, write_json_lines
from texlens.train.grpo.prompts import Prompts
from texlens.train.grpo.sampling import Sampling, sample_answers
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.rewards.functions import RewardSettings, score_completions
from texlens.train.rewards.pool import RewardPool
from texlens.train.run.curves import read_log

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
    pool: RewardPool | None,
    quiet: bool = False,
) -> Prompts:
    """The prompts that the model answers sometimes right and sometimes wrong.

    An answer is right when its normal form is the reference's, or both render alike (`layout` 1).
    Writes `prefilter.jsonl` into `out`, one line per prompt: id, answers, right, temperature.
    Prompts with a line are not answered again, so that a killed run can be resumed.

    Raises InputError when too few prompts are left for one step.
    """
    limits = config.prefilter
    assert limits is not None
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(prompts.table), generator=random).tolist()[: limits.max_prompts]
    path = out / PASS_RATES
    known = {
        record["id"]: record
        for record in read_log(path)
        if record["answers"] == limits.num_generations
        and record["temperature"] == config.temperature
    }
    ids = prompts.table["id"]
    size = limits.batch_size
    batches = enumerate(order[first : first + size] for first in range(0, len(order), size))
    missing = [
        (number, places)
        for number, places in batches
        if any(ids[place] not in known for place in places)
    ]
    if missing:
        write_json_lines(path, known.values())  # without the line that a kill cut short
    with path.open("a", encoding="utf-8") as file:
        for record in progress(
            _answer(prompts, missing, loaded, config, sampling, settings, pool),
            total=sum(len(places) for _, places in missing),
            unit="prompts answered",
            quiet=quiet,
        ):
            if record["id"] not in known:
                known[record["id"]] = record
                file.write(json.dumps(record) + "\n")
                file.flush()
    right = {place: known[ids[place]]["right"] for place in order}
    kept = [place for place in order if 0 < right[place] < limits.num_generations]
    counts = {
        "answered": len(order),
        "always right": list(right.values()).count(limits.num_generations),
        "never right": list(right.values()).count(0),
        "kept": len(kept),
    }
    if len(kept) < config.groups_per_step():
        raise InputError(
            f"The prefilter keeps {len(kept)} of {len(order)} prompts ({counts['always right']} "
            f"always right, {counts['never right']} never), fewer than a step takes: give it more "
            "max_prompts or num_generations, or train without it."
        )
    return Prompts(prompts.table.select(sorted(kept)), prompts.record | {"prefilter": counts})


def _answer(
    prompts: Prompts,
    batches: Sequence[tuple[int, Sequence[int]]],
    loaded: Loaded,
    config: GrpoConfig,
    sampling: Sampling,
    settings: RewardSettings,
    pool: RewardPool | None,
) -> Iterator[dict[str, Any]]:
    """The pass rate of every prompt of these numbered batches."""
    assert config.prefilter is not None
    count = config.prefilter.num_generations
    processor = loaded.processor
    text = processor.apply_chat_template(
        loaded.prompt_config.messages(), tokenize=False, add_generation_prompt=True
    )
    for number, places in batches:
        torch.manual_seed(config.seed + number)  # the same answers in a run that was resumed
        rows = prompts.table.select(places)
        inputs = processor(
            text=[text] * len(places), images=list(rows["image"]), padding=True,
            return_tensors="pt",
        ).to(loaded.model.device)  # fmt: skip
        repeats = [row for row in range(len(places)) for _ in range(count)]
        answers = sample_answers(loaded.model, dict(inputs), repeats, sampling)
        references = list(rows["solution"])
        scored = score_completions(
            processor.tokenizer.batch_decode(answers, skip_special_tokens=True),
            [references[row] for row in repeats],
            rewards=("layout",),
            settings=settings,
            completion_ids=answers,
            pool=pool,
        )
        right = [s.exact or s.rewards["layout"] >= _LOOKS_EQUAL for s in scored]
        for row, name in enumerate(rows["id"]):
            answered_right = sum(right[row * count : (row + 1) * count])
            yield {
                "id": name, "answers": count, "right": answered_right,
                "temperature": config.temperature,
            }  # fmt: skip
