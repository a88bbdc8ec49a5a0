"""Mistakes that cost a run and show before it: each is one sentence, none stops the dry run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from texlens.model.prompt_config import PromptConfig
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.plan.lengths import Lengths
from texlens.train.run.adapters import part_of
from texlens.train.run.settings import TuningConfig


def known_mistakes(
    config: TuningConfig,
    network: Any,
    lengths: Lengths | None,
    examples: int | None,
    prompt_config: PromptConfig,
    *,
    devices: int,
    layout: str,
) -> tuple[str, ...]:
    """What is likely wrong with a recipe.

    `network` is what it would train, on the meta device; `examples` those of an epoch.
    """
    return tuple(
        itertools.chain(
            # Where rows are left out by an estimate the remainder is not known.
            _of_batches(config, None if lengths and lengths.unusable else examples, devices),
            _of_parts(config, network),
            _of_lengths(config, lengths, prompt_config),
            _of_data(config),
            _of_layout(config, devices, layout),
        )
    )


def _of_batches(config: TuningConfig, examples: int | None, devices: int) -> Iterator[str]:
    a_step = config.examples_per_step(devices)
    generations = config.num_generations if isinstance(config, GrpoConfig) else None
    if generations is None and examples is not None and (left := examples % a_step):
        yield (
            f"The last step of an epoch takes {left} examples instead of {a_step}: each of them "
            f"weighs {a_step / left:.3g} times as much as any other."
        )
    if generations is not None and a_step % generations:
        yield (
            f"batch {config.batch} x accumulation {config.accumulation} x {devices} devices = "
            f"{a_step} answers cannot be divided into groups of num_generations = {generations}."
        )


def _of_parts(config: TuningConfig, network: Any) -> Iterator[str]:
    trained = {part_of(name) for name, p in network.named_parameters() if p.requires_grad}
    if others := trained - set(config.parts):
        yield (
            f"The adapter '{config.adapter}' also lies on {' and '.join(sorted(others))}, which "
            "the recipe does not name among parts: projections there have the same names as in "
            "the language model."
        )
    if missing := set(config.parts) - trained:
        yield f"Nothing of {' and '.join(sorted(missing))} would be trained."


def _of_lengths(
    config: TuningConfig, lengths: Lengths | None, prompt_config: PromptConfig
) -> Iterator[str]:
    if lengths is None:
        return
    bound = "" if lengths.exact else " at most (by the upper bound)"
    cutoff = getattr(config, "cutoff", None)
    if cutoff is not None and lengths.longest > cutoff:
        over = int((lengths.tokens > cutoff).sum())
        yield (
            f"cutoff is {cutoff} and the longest sequence has {lengths.longest} tokens{bound}: "
            f"longer ones are left out, {over} of {len(lengths.tokens)} evenly spread rows."
        )
    if lengths.exact and lengths.longest_answer > prompt_config.max_new_tokens:
        yield (
            f"The longest answer has {lengths.longest_answer} tokens, but the prompt configuration lets a "
            f"model write {prompt_config.max_new_tokens}: such formulas can be learnt and never read."
        )
    if lengths.unusable:
        reasons = ", ".join(f"{why}: {n}" for why, n in lengths.unusable.items())
        yield f"Of the measured rows some cannot be learnt from ({reasons})."


def _of_data(config: TuningConfig) -> Iterator[str]:
    for file, dev in itertools.product(config.data, config.dev):
        if file.parquet.resolve() != dev.parquet.resolve():
            continue
        (a, b), (c, d) = ((part.rows or (0, float("inf"))) for part in (file, dev))
        if max(a, c) < min(b, d):
            yield (
                f"Rows of '{file.parquet}' are trained on and read as dev set '{dev.name}': its "
                "scores would say nothing."
            )
    if config.adapter is not None and not Path(config.adapter).expanduser().exists():
        yield (
            f"The adapter '{config.adapter}' is not there: it is taken to have the recipe's shape."
        )
    for path in sorted({str(dev.parquet) for dev in config.dev if not dev.parquet.exists()}):
        yield f"The dev set '{path}' is not there."


def _of_layout(config: TuningConfig, devices: int, layout: str) -> Iterator[str]:
    if devices > 1 and config.quantisation is not None and layout != "ddp":
        yield f"Weights of 4 bits cannot be split over devices: use ddp instead of {layout}."
