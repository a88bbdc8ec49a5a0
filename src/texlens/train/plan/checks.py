"""Checks of a recipe for likely mistakes: each warning is one sentence, none stops the dry run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.model.prompt_config import PromptConfig
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.plan.lengths import Lengths
from texlens.train.run.adapters import module_of
from texlens.train.run.settings import FineTuningConfig


def warnings_for(
    config: FineTuningConfig,
    network: Any,
    lengths: Lengths | None,
    examples: int | None,
    prompt_config: PromptConfig,
    *,
    devices: int,
    layout: str,
) -> tuple[str, ...]:
    """What is likely wrong with a recipe.

    `network` is the network that it would train, on the meta device; `examples` is the number of
    examples of an epoch.
    """
    return tuple(
        itertools.chain(
            _of_steps(config, lengths, examples, devices, layout),
            _of_modules(config, network),
            _of_lengths(config, lengths, prompt_config),
            _of_data(config),
        )
    )


def _of_steps(
    config: FineTuningConfig,
    lengths: Lengths | None,
    examples: int | None,
    devices: int,
    layout: str,
) -> Iterator[str]:
    if isinstance(config, GrpoConfig):
        try:
            config.groups_per_step(devices)
        except InputError as error:
            yield str(error)
    elif examples is not None and lengths is not None and not lengths.unusable:
        # If rows are left out, `examples` is an estimate, and the remainder is not known.
        a_step = config.examples_per_step(devices)
        if left := examples % a_step:
            yield (
                f"The last step of an epoch has {left} examples instead of {a_step}: each of them "
                f"weighs {a_step / left:.3g} times as much as any other."
            )
    if devices > 1 and config.quantisation is not None and layout != "ddp":
        yield f"Weights of 4 bits cannot be split over devices: use ddp instead of {layout}."


def _of_modules(config: FineTuningConfig, network: Any) -> Iterator[str]:
    trained = {module_of(name) for name, p in network.named_parameters() if p.requires_grad}
    if others := trained - set(config.trainable_modules):
        yield (
            f"The adapter '{config.adapter}' also has weights on {' and '.join(sorted(others))}, "
            "which is not among the recipe's trainable_modules: projections there have the same "
            "names as in the language model."
        )
    if missing := set(config.trainable_modules) - trained:
        yield f"Nothing of {' and '.join(sorted(missing))} would be trained."


def _of_lengths(
    config: FineTuningConfig, lengths: Lengths | None, prompt_config: PromptConfig
) -> Iterator[str]:
    if lengths is None:
        return
    bound = "" if lengths.exact else " at most (by the upper bound)"
    max_length = getattr(config, "max_length", None)
    if max_length is not None and lengths.longest > max_length:
        over = int((lengths.tokens > max_length).sum())
        yield (
            f"max_length is {max_length} and the longest sequence has {lengths.longest} tokens"
            f"{bound}: longer ones are left out, {over} of {len(lengths.tokens)} evenly spaced rows."
        )
    if lengths.exact and lengths.longest_answer > prompt_config.max_new_tokens:
        yield (
            f"The longest answer has {lengths.longest_answer} tokens, but max_new_tokens of the "
            f"prompt configuration is {prompt_config.max_new_tokens}: such formulas can be learnt "
            "but never read."
        )
    if lengths.unusable:
        reasons = ", ".join(f"{why}: {n}" for why, n in lengths.unusable.items())
        yield f"Some of the measured rows cannot be trained on ({reasons})."


def _of_data(config: FineTuningConfig) -> Iterator[str]:
    for file, dev in itertools.product(config.data, config.dev):
        if file.parquet.resolve() != dev.parquet.resolve():
            continue
        (a, b), (c, d) = ((part.rows or (0, float("inf"))) for part in (file, dev))
        if max(a, c) < min(b, d):
            yield (
                f"Rows of '{file.parquet}' are in the training data and in the dev set "
                f"'{dev.name}': its scores would be meaningless."
            )
    if config.adapter is not None and not Path(config.adapter).expanduser().exists():
        yield (f"The adapter '{config.adapter}' does not exist: the recipe's shape is assumed.")
    for path in sorted({str(dev.parquet) for dev in config.dev if not dev.parquet.exists()}):
        yield f"The dev set '{path}' does not exist."
