"""The model's own answers to the prompts of a run, and the best of them as examples."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.model.load import Loaded
from texlens.records import Example
from texlens.runs import progress, read_json, write_json, write_json_lines
from texlens.train.data.examples import rows_of
from texlens.train.grpo.groups import Group, open_groups, sample_answers, score_answers
from texlens.train.grpo.prompts import Prompts, prepare_prompts
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.grpo.train import sampling_and_rewards
from texlens.train.rewards.functions import BatchRewards, need_references
from texlens.train.rft.settings import RftConfig
from texlens.train.run.run_folder import check_same_settings

EXAMPLES, RECORDS, SUMMARY = "answers.parquet", "answers.jsonl", "answers.json"


def choose_answers(config: RftConfig, loaded: Loaded, out: Path) -> dict[str, Any]:
    """Answer the prompts of a recipe and keep the best answers.

    Writes `answers.parquet` (the examples), `answers.jsonl` (a line for each prompt: its best
    answer, the total of that, the mean total, whether it was kept) and, last, `answers.json`, the
    result. Where that is there already, nothing is done.

    Args:
        config: the recipe.
        loaded: the start, within the limit of the prompts.
        out: the folder of the run.

    Returns:
        The numbers of prompts that were answered and kept, and the minutes that it took.

    Raises:
        InputError: no answer is worth enough, the data cannot be used, or the folder has answers that
            were sampled with other settings.
    """
    settings = config.answers
    document = settings.model_dump(mode="json")
    if (out / SUMMARY).is_file():
        found: dict[str, Any] = read_json(out / SUMMARY)
        check_same_settings(out, found["settings"], document, changeable=())
        return found
    prompts = prepare_prompts(
        config.data,
        loaded,
        max_prompt_length=settings.max_prompt_length,
        unlabelled=not need_references(settings.rewards),
    )
    began = time.monotonic()
    records = []
    for group in _answered(config, loaded, prompts):
        best = best_answer(group, settings.rewards)
        totals = [scored.total(settings.rewards) for scored in group.scored]
        records.append(
            {
                "id": group.row["id"],
                "answer": best,
                "total": max(totals),
                "mean_total": sum(totals) / len(totals),
                "kept": best is not None and max(totals) >= settings.min_reward,
            }
        )
    minutes = (time.monotonic() - began) / 60
    write_json_lines(out / RECORDS, records)
    kept = {record["id"]: record["answer"] for record in records if record["kept"]}
    if not kept:
        raise InputError(
            f"No answer to {len(records)} prompts has a total of at least {settings.min_reward:g}: "
            "lower answers.min_reward, or start from a model that reads better."
        )
    write_examples(out / EXAMPLES, _examples(config, prompts, dict(kept)))
    summary = {
        "answered": len(records),
        "kept": len(kept),
        "minutes": round(minutes, 3),
        "settings": document,
        "prompts": prompts.record,
    }
    write_json(out / SUMMARY, summary)
    return summary


def best_answer(group: Group, weights: dict[str, float]) -> str | None:
    """The answer with the highest total; of several the most frequent, then the first. None: none."""
    times = Counter(scored.answer for scored in group.scored)
    with_answer = [scored for scored in group.scored if scored.answer]
    if not with_answer:
        return None
    best = max(with_answer, key=lambda scored: (scored.total(weights), times[scored.answer]))
    return best.answer


def _answered(config: RftConfig, loaded: Loaded, prompts: Prompts) -> Iterator[Group]:
    """The groups of the prompts, answered and scored, until the time is over."""
    settings = config.answers
    sampling, reward_settings = sampling_and_rewards(
        loaded, temperature=settings.temperature, top_p=settings.top_p
    )
    sampler, rewards = Sampler(loaded.model), BatchRewards(settings.rewards, reward_settings)
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(prompts), generator=random).tolist()[: settings.max_prompts]
    table, size = prompts.table(), settings.batch_size
    batches = [order[first : first + size] for first in range(0, len(order), size)]
    torch.manual_seed(config.seed)
    began = time.monotonic()
    for places in progress(batches, total=len(batches), unit="batches"):
        rows = list(table.select(places))
        groups = open_groups(
            loaded.processor, [row for row in rows for _ in range(settings.num_generations)]
        )
        sample_answers(groups, sampler, sampling, loaded.processor.tokenizer)
        score_answers(groups, rewards, loaded.processor.tokenizer)
        yield from groups
        if settings.minutes is not None and time.monotonic() - began > 60 * settings.minutes:
            return


def _examples(config: RftConfig, prompts: Prompts, kept: dict[str, str]) -> Iterator[Example]:
    """The pictures of the data files with the answers that were kept."""
    names = prompts.names or ("",) * len(config.data)
    for file, name in zip(config.data, names, strict=True):
        for example in rows_of(file.parquet, file.rows):
            answer = kept.pop(f"{name}/{example.id}" if name else example.id, None)
            if answer is not None:
                yield replace(example, latex_formula=" ".join(normalize(answer).split()))
