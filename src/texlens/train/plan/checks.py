"""Checks of a recipe for likely mistakes: each warning is one sentence, none stops the dry run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from texlens.errors import InputError
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.settings import FineTuningConfig

if TYPE_CHECKING:
    from texlens.train.plan.dry_run import DryRun


def warnings_for(run: DryRun) -> Iterator[str]:
    """What is likely wrong with a recipe."""
    return itertools.chain(_of_steps(run), _of_modules(run), _of_lengths(run), _of_data(run.config))


def _of_steps(run: DryRun) -> Iterator[str]:
    config, examples, a_step = run.config, run.examples_an_epoch, run.examples_a_step
    if isinstance(config, GrpoConfig):
        try:
            config.groups_per_step(run.devices)
        except InputError as error:
            yield str(error)
    # If rows are left out, the number of examples is an estimate, and the remainder is not known.
    elif examples and run.lengths and not run.lengths.unusable and (left := examples % a_step):
        yield (
            f"The last step of an epoch has {left} examples instead of {a_step}: each of them "
            f"weighs {a_step / left:.3g} times as much as any other."
        )
    if run.devices > 1 and config.quantisation is not None and run.layout != "ddp":
        yield f"Weights of 4 bits cannot be split over devices: use ddp instead of {run.layout}."


def _of_modules(run: DryRun) -> Iterator[str]:
    config = run.config
    trained = {module for module, (count, _) in run.parameters.items() if count}
    if others := trained - set(config.trainable_modules):
        yield (
            f"The adapter '{config.adapter}' also has weights on {' and '.join(sorted(others))}, "
            "which is not among the recipe's trainable_modules: projections there have the same "
            "names as in the language model."
        )
    if missing := set(config.trainable_modules) - trained:
        yield f"Nothing of {' and '.join(sorted(missing))} would be trained."


def _of_lengths(run: DryRun) -> Iterator[str]:
    lengths, longest_answer = run.lengths, run.prompt_config.max_new_tokens
    if lengths is None:
        return
    bound = "" if lengths.exact else " at most (by the upper bound)"
    max_length = getattr(run.config, "max_length", None)
    if max_length is not None and lengths.longest > max_length:
        over = int((lengths.tokens > max_length).sum())
        yield (
            f"max_length is {max_length} and the longest sequence has {lengths.longest} tokens"
            f"{bound}: longer ones are left out, {over} of {len(lengths.tokens)} evenly spaced rows."
        )
    if lengths.exact and lengths.longest_answer > longest_answer:
        yield (
            f"The longest answer has {lengths.longest_answer} tokens, but max_new_tokens of the "
            f"prompt configuration is {longest_answer}: such formulas can be learnt "
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
