"""A dry run as text to read and as a document for other programs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from texlens.train.plan.cost import ACCELERATORS
from texlens.train.plan.dry_run import RESERVED, UTILISATION, DryRun

_GIB = 2**30


def dry_run_text(run: DryRun) -> str:
    """The dry run as a page of text."""
    parts = [_model(run), _data(run), _memory(run), _time(run)]
    parts.append("\n".join(f"Warning: {text}" for text in run.warnings) or "No warnings.")
    return "\n\n".join(parts)


def dry_run_document(run: DryRun) -> dict[str, Any]:
    """The dry run as one JSON document; memory in bytes, time in seconds."""
    document = dataclasses.asdict(run)
    document["parameters"] = {
        module: {"trained": trained, "total": total}
        for module, (trained, total) in run.parameters.items()
    }
    document["trained"] = run.trained
    document["memory"]["total"] = run.memory.total
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
    rows = [
        f"{module:<18}{trained:>16,}{all_of_it:>16,}"
        for module, (trained, all_of_it) in run.parameters.items()
    ]
    return "\n".join(
        [
            f"{run.model}: {run.base_parameters:,} parameters",
            "",
            f"{'':<18}{'trained':>16}{'all':>16}",
            *rows,
            f"{'total':<18}{run.trained:>16,}{total:>16,}   {run.trained / total:.2%} trained",
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
    return "\n".join(lines)


def _memory(run: DryRun) -> str:
    memory, batch = run.memory, run.longest_batch
    where = f", {run.devices} of them, {run.layout}" if run.devices > 1 else ""
    unused = ", not counted"
    rows = [
        ("weights", memory.weights, ""),
        ("gradients", memory.gradients, ""),
        ("optimiser", memory.optimizer, ""),
        (
            "activations",
            memory.activations,
            "without checkpointing" + (unused if memory.checkpointing else ""),
        ),
        (
            "activations",
            memory.activations_checkpointed,
            "with gradient checkpointing" + ("" if memory.checkpointing else unused),
        ),
        ("CUDA, allocator", RESERVED, ""),
        ("total", memory.total, ""),
    ]
    head = (
        f"memory of a device{where} (estimate), GiB; {run.precision}; the longest batch: "
        f"{batch.examples} x {batch.tokens} tokens, {batch.patches} patches per picture"
    )
    return "\n".join(
        [head, *(f"{n:<18}{v / _GIB:>10.2f}   {note}".rstrip() for n, v, note in rows)]
    )


def _time(run: DryRun) -> str:
    teraflops = run.teraflops_a_step
    shown = f"{teraflops:,.0f}" if teraflops >= 100 else f"{teraflops:.3g}"
    lines = [
        f"time (estimate): {shown} TFLOP a step at {UTILISATION:.0%} of the bfloat16 peak of the "
        "data sheet,",
        "or the time to launch the kernels, if that is longer; without the evaluation on dev sets",
        f"{'card':<12}{'memory':>8}{'fits':>7}{'s a step':>10}{'hours':>8}",
    ]
    for name, seconds in run.seconds_a_step.items():
        room = ACCELERATORS[name][1]
        fits = "yes" if run.memory.total <= room * 1e9 else "no"
        hours = "" if run.steps is None else f"{run.steps * seconds / 3600:.2f}"
        lines.append(f"{name:<12}{f'{room} GB':>8}{fits:>7}{seconds:>10.2f}{hours:>8}")
    return "\n".join(lines)
