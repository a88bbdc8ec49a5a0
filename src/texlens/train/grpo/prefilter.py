"""Choosing prompts by what the start model makes of them.

Advantages are differences within a group. Where all answers are right, or all wrong, there are
none, and the step's time is lost: so the start model answers every prompt a few times first, and
only prompts with answers of both kinds are kept.
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
from texlens.train.grpo.sampling import Sampling, draw
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.rewards.functions import RewardSettings, score_completions
from texlens.train.rewards.pool import RewardPool
from texlens.train.run.curves import read_log

PASS_RATES = "prefilter.jsonl"
_SAME_DRAWING = 1 - 1e-9


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

    An answer is right when its normal form is the reference's, or it is drawn the same (`layout` 1).
    Writes `prefilter.jsonl` into `out`, a line a prompt: id, answers, right, temperature. Prompts
    that are there are not answered again, so a run that was killed goes on.

    Raises InputError when too few prompts are left for one step.
    """
    settings_ = config.prefilter
    assert settings_ is not None
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(prompts.table), generator=random).tolist()[: settings_.prompts]
    path = out / PASS_RATES
    known = {
        record["id"]: record
        for record in read_log(path)
        if (record["answers"], record["temperature"]) == (settings_.answers, config.temperature)
    }
    ids = prompts.table["id"]
    batches = [
        (number, order[first : first + settings_.batch])
        for number, first in enumerate(range(0, len(order), settings_.batch))
    ]
    missing = [batch for batch in batches if any(ids[place] not in known for place in batch[1])]
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
    rates = [(place, known[ids[place]]) for place in order]
    kept = [place for place, rate in rates if 0 < rate["right"] < rate["answers"]]
    always = sum(rate["right"] == rate["answers"] for _, rate in rates)
    never = sum(rate["right"] == 0 for _, rate in rates)
    found = {"answered": len(rates), "always right": always, "never right": never}
    if len(kept) < config.groups_per_step():
        raise InputError(
            f"The prefilter keeps {len(kept)} of {len(rates)} prompts ({always} always right, "
            f"{never} never), fewer than a step takes: give it more prompts or answers, or train "
            "without it."
        )
    chosen = prompts.only(sorted(kept))
    chosen.record = prompts.record | {"prefilter": found | {"kept": len(kept)}}
    return chosen


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
    count = config.prefilter.answers
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
        answers = draw(loaded.model, dict(inputs), repeats, sampling)
        references = list(rows["solution"])
        scored = score_completions(
            processor.tokenizer.batch_decode(answers, skip_special_tokens=True),
            [references[row] for row in repeats],
            rewards=("layout",),
            settings=settings,
            completion_ids=answers,
            pool=pool,
        )
        right = [s.exact or s.rewards["layout"] >= _SAME_DRAWING for s in scored]
        for row, name in enumerate(rows["id"]):
            own = right[row * count : (row + 1) * count]
            yield {
                "id": name, "answers": count, "right": sum(own), "temperature": config.temperature,
            }  # fmt: skip
