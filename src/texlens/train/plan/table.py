"""A dry run as text to read and as a document for other programs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from texlens.tables import markdown_table
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.plan.dry_run import RESERVED, DryRun
from texlens.train.rft.settings import RftConfig

_GIB = 2**30
_FIELDS = (
    "model", "precision", "devices", "layout", "base_parameters", "trained", "absent",
    "examples_an_epoch", "examples_a_step", "of_what", "steps", "warnings",
)  # fmt: skip


def dry_run_text(run: DryRun) -> str:
    """The dry run as a page of text."""
    parts = [_model(run), _data(run), _memory(run)]
    parts.append("\n".join(f"Warning: {text}" for text in run.warnings) or "No warnings.")
    return "\n\n".join(parts)


def dry_run_document(run: DryRun) -> dict[str, Any]:
    """The dry run as one JSON document; memory in bytes."""
    document: dict[str, Any] = {name: getattr(run, name) for name in _FIELDS}
    document["parameters"] = {
        module: {"trained": trained, "total": total}
        for module, (trained, total) in run.parameters.items()
    }
    document["longest_batch"] = dataclasses.asdict(run.longest_batch)
    document["memory"] = dataclasses.asdict(run.memory) | {"total": run.memory.total}
    document["lengths"] = None
    if run.lengths is not None:
        document["lengths"] = {
            "exact": run.lengths.exact,
            "measured": len(run.lengths.tokens),
            "rows": run.lengths.files,
            "median": float(np.median(run.lengths.tokens)),
            "mean": float(run.lengths.tokens.mean()),
            "longest": run.lengths.longest,
            "longest_visual": run.lengths.longest_visual,
            "longest_answer": run.lengths.longest_answer,
            "unusable": run.lengths.unusable,
        }
    return document


def _model(run: DryRun) -> str:
    total = sum(total for _, total in run.parameters.values())
    counts = run.parameters | {"total": (run.trained, total)}
    rows = [(name, f"{trained:,}", f"{every:,}") for name, (trained, every) in counts.items()]
    return "\n\n".join(
        [
            f"{run.model}: {run.base_parameters:,} parameters",
            markdown_table(("module", "trained", "all"), rows),
            f"{run.trained / total:.2%} are trained.",
        ]
    )


def _data(run: DryRun) -> str:
    if run.lengths is None:
        lines = [
            f"Missing data: {', '.join(run.absent)}.",
            "Sequences are assumed to be as long as the recipe allows, an upper bound.",
        ]
    else:
        found = run.lengths
        kind = "exact" if found.exact else "upper bound: one token per byte, without the tokeniser"
        lines = [
            f"sequences ({kind}): median {np.median(found.tokens):.0f}, longest {found.longest} "
            f"tokens; a picture up to {found.longest_visual}, an answer up to "
            f"{found.longest_answer}",
            f"measured: {len(found.tokens):,} rows evenly spaced over {sum(found.files):,}, and "
            "those likely to be the longest",
        ]
    shared = f" on {run.devices} devices" if run.devices > 1 else ""
    lines.append(f"a step takes {run.examples_a_step} {run.of_what}{shared}")
    if run.examples_an_epoch is not None:
        about = "about " if run.lengths is not None and run.lengths.unusable else ""
        lines.append(f"an epoch has {about}{run.examples_an_epoch:,} examples")
    lines.append(f"steps: {'not known' if run.steps is None else f'{run.steps:,}'}")
    return "\n".join([*lines, *_evaluations(run)])


def _evaluations(run: DryRun) -> list[str]:
    """How often the dev sets are read, and the start model answers prompts: with no training meanwhile."""
    config, lines = run.config, []
    if config.dev and config.dev_metrics and run.steps is not None:
        times = 2 + (run.steps - 1) // config.eval_steps
        sizes = [str(dev.sample or "all") for dev in config.dev]
        lines.append(f"dev: {' + '.join(sizes)} pictures are read {times} times")
    if isinstance(config, GrpoConfig) and config.prefilter is not None:
        prompts = config.prefilter.max_prompts or "all"
        lines.append(
            f"prefilter: {prompts} prompts are answered {config.prefilter.num_generations} times each"
        )
    if isinstance(config, RftConfig):
        answers = config.answers
        prompts = f"{answers.max_prompts} prompts" if answers.max_prompts else "all prompts"
        limit = f"up to {answers.minutes:g} minutes, " if answers.minutes else ""
        lines.append(f"answers: {limit}{prompts}, {answers.num_generations} times each")
    return lines


def _memory(run: DryRun) -> str:
    memory, batch = run.memory, run.longest_batch
    where = f", {run.devices} of them, {run.layout}" if run.devices > 1 else ""
    other = "without" if memory.checkpointing else "with"
    rows = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimiser": memory.optimizer,
        "activations": memory.held,
        "CUDA, allocator": RESERVED,
        "total": memory.total,
        f"activations {other} gradient checkpointing": (
            memory.activations if memory.checkpointing else memory.activations_checkpointed
        ),
    }
    return "\n\n".join(
        [
            f"Memory of a device{where} (estimate), in {run.precision}. The longest batch: "
            f"{batch.examples} x {batch.tokens} tokens, {batch.patches} patches per picture.",
            markdown_table(
                ("memory", "GiB"), [(name, f"{size / _GIB:.2f}") for name, size in rows.items()]
            ),
        ]
    )
