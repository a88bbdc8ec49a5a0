"""A dry run as text to read and as a document for other programs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from texlens.train.plan.cost import ACCELERATORS
from texlens.train.plan.dry_run import RESERVED, UTILISATION, DryRun
from texlens.train.plan.lengths import Lengths

_GIB = 2**30


def dry_run_text(run: DryRun) -> str:
    """The dry run as a page of text."""
    parts = [_model(run), _data(run), _memory(run), _time(run)]
    parts.append("\n".join(f"Warning: {text}" for text in run.warnings) or "No known mistakes.")
    return "\n\n".join(parts)


def dry_run_document(run: DryRun) -> dict[str, Any]:
    """The dry run as one JSON document; memory in bytes, time in seconds."""
    document: dict[str, Any] = {
        field.name: getattr(run, field.name)
        for field in dataclasses.fields(run)
        if field.name not in ("lengths", "memory", "longest_batch", "parameters")
    }
    document["parameters"] = {
        part: {"trained": trained, "total": total}
        for part, (trained, total) in run.parameters.items()
    }
    document["trained"] = run.trained
    document["longest_batch"] = dataclasses.asdict(run.longest_batch)
    document["memory"] = dataclasses.asdict(run.memory) | {"total": run.memory.total}
    document["lengths"] = None if run.lengths is None else _lengths_document(run.lengths)
    return document


def _lengths_document(lengths: Lengths) -> dict[str, Any]:
    return {
        "exact": lengths.exact,
        "measured": len(lengths.tokens),
        "rows": list(lengths.files),
        "median": float(np.median(lengths.tokens)),
        "mean": float(lengths.tokens.mean()),
        "longest": lengths.longest,
        "longest_visual": lengths.longest_visual,
        "longest_answer": lengths.longest_answer,
        "unusable": lengths.unusable,
    }


def _model(run: DryRun) -> str:
    lines = [f"{run.model}: {run.base_parameters:,} parameters", ""]
    lines.append(f"{'':<18}{'trained':>16}{'all':>16}")
    for part, (trained, total) in run.parameters.items():
        lines.append(f"{part:<18}{trained:>16,}{total:>16,}")
    total = sum(total for _, total in run.parameters.values())
    lines.append(
        f"{'in all':<18}{run.trained:>16,}{total:>16,}   {run.trained / total:.2%} trained"
    )
    return "\n".join(lines)


def _data(run: DryRun) -> str:
    lines = []
    if run.lengths is None:
        lines.append(f"The data is not at hand: {', '.join(run.absent)}.")
        lines.append("Sequences are taken to be as long as the recipe allows, an upper bound.")
    else:
        found = run.lengths
        kind = "exact" if found.exact else "upper bound: one token a byte, no tokeniser at hand"
        lines.append(
            f"sequences ({kind}): median {np.median(found.tokens):.0f}, longest {found.longest} "
            f"tokens; a picture up to {found.longest_visual}, an answer up to "
            f"{found.longest_answer}"
        )
        lines.append(
            f"measured: {len(found.tokens):,} rows evenly spread over {sum(found.files):,}, and "
            "those with most to read"
        )
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
    rows = [
        ("weights", memory.weights, ""),
        ("gradients", memory.gradients, ""),
        ("optimiser", memory.optimizer, ""),
    ]
    kept = [
        ("activations", memory.activations, "without checkpointing"),
        ("activations", memory.activations_checkpointed, "with gradient checkpointing"),
    ]
    for checkpointed, row in enumerate(kept):
        note = row[2] + ("" if checkpointed == memory.checkpointing else ", not counted")
        rows.append((row[0], row[1], note))
    rows.append(("CUDA, allocator", float(RESERVED), ""))
    rows.append(("in all", memory.total, ""))
    head = (
        f"memory of a device{where} (estimate), GiB; {run.precision}; the longest batch: "
        f"{batch.examples} x {batch.tokens} tokens, {batch.patches} patches a picture"
    )
    return "\n".join(
        [head, *(f"{n:<18}{v / _GIB:>10.2f}   {note}".rstrip() for n, v, note in rows)]
    )


def _time(run: DryRun) -> str:
    lines = [
        f"time (estimate): {_number(run.teraflops_a_step)} TFLOP a step at {UTILISATION:.0%} of the "
        "published bfloat16 peak,",
        "or the launching of kernels where that takes longer; the reading of dev pictures not "
        "counted",
        f"{'card':<12}{'memory':>8}{'fits':>7}{'s a step':>10}{'hours':>8}",
    ]
    for name, seconds in run.seconds_a_step.items():
        room = ACCELERATORS[name][1]
        fits = "yes" if run.memory.total <= room * 1e9 else "no"
        hours = "" if run.steps is None else f"{run.steps * seconds / 3600:.2f}"
        lines.append(f"{name:<12}{f'{room} GB':>8}{fits:>7}{seconds:>10.2f}{hours:>8}")
    return "\n".join(lines)


def _number(value: float) -> str:
    """Three digits, thousands marked."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
