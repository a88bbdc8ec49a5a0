"""The first page of the report: data, training, results and links to the details."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from texlens.data.parquet import read_examples
from texlens.data.preview import contact_sheet
from texlens.evaluate.compare.comparison import PAGE
from texlens.evaluate.compare.reported_figures import reported_tables
from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.compare.tables import names
from texlens.images import data_address, encode_png
from texlens.metrics.registry import goodness
from texlens.pages import render_page
from texlens.pipeline.chart import measures_chart
from texlens.pipeline.config import PipelineConfig
from texlens.runs import read_json, write_text
from texlens.tables import Table, number

INDEX = "index.html"
RESULTS = "results.md"
_PICTURES_SHOWN = 12  # of each set


def write_index(
    out: Path,
    config: PipelineConfig,
    runs: Sequence[ScoredRun],
    steps: Sequence[dict[str, Any]],
) -> None:
    """Write `report/index.html`, and its first table as `results.md`, for a finished pipeline.

    Args:
        out: the pipeline's folder.
        config: its settings.
        runs: its evaluations.
        steps: the records of its steps (`Steps.records`).
    """
    chart = measures_chart(runs, config.shown)
    results = _results_table(runs, config.shown)
    write_text(out / "report" / RESULTS, results.markdown() + "\n")
    html = render_page(
        "texlens.pipeline",
        "index",
        title=config.description or "Pipeline",
        heading=config.heading,
        chart=chart and data_address(chart),
        results=results,
        reported=reported_tables() if config.reported else [],
        compare=PAGE,
        data=_data_table(out, config),
        shared=_shared_table(out),
        sheets=[(name, _sheet(out / "data" / name / "test.parquet")) for name in config.sets],
        stages=_stages_table(out, config) if config.stages else None,
        curves=[
            (stage.name, data_address(path.read_bytes()))
            for stage in config.stages
            if (path := out / "stages" / stage.name / "curves.png").is_file()
        ],
        evaluations=[
            (run.set, run.model, f"../evaluations/{run.set}/{run.model}/report.html")
            for run in runs
        ],
        steps=_steps_table(steps),
    )
    write_text(out / "report" / INDEX, html)


def _results_table(runs: Sequence[ScoredRun], keys: Sequence[str]) -> Table:
    """Every model on every set, in the order of the stages, with the report's measures."""
    rows = [
        (run.set, run.model, str(run.document["n"]), *(_with_interval(run, key) for key in keys))
        for name in names(run.set for run in runs)
        for run in runs
        if run.set == name
    ]
    note = "95 % bootstrap intervals over items in brackets."
    if lower := [key for key in keys if goodness(key, 0.0) == 1.0]:
        note += f" Lower is better: {', '.join(lower)}."
    return Table("Results", ("set", "model", "n", *keys), tuple(rows), note)


def _with_interval(run: ScoredRun, key: str) -> str:
    value = run.value(key)
    if value is None:
        return number(None)
    low, high = run.metrics[key]["ci"]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _data_table(out: Path, config: PipelineConfig) -> Table:
    rows = []
    for name, plan in config.sets.items():
        document = read_json(out / "data" / name / "dataset.json")
        counts = document["counts"]
        dropped = sum(n for reasons in document["dropped"].values() for n in reasons.values())
        cells = [str(counts.get(split, 0)) for split in ("train", "validation", "test")]
        hub = ", ".join(origin["commit"][:12] for origin in document["hub"])
        rows.append((name, plan.source, *cells, str(dropped), hub))
    header = ("set", "source", "train", "validation", "test", "left out", "commit on the hub")
    return Table("Data", header, tuple(rows), "data/SET/dropped.jsonl lists the items left out.")


def _shared_table(out: Path) -> Table:
    leaks = read_json(out / "audit" / "audit.json")["leaks"]
    rows = [
        (
            leak["of"],
            leak["also_in"],
            *(str(leak[k]) for k in ("items", "by_formula", "by_picture")),
        )
        for leak in leaks
        if leak["by_formula"] or leak["by_picture"]
    ]
    header = ("set", "shares with", "items", "by formula", "by picture")
    note = "" if rows else "No two sets share a formula or a picture."
    return Table("What the sets share", header, tuple(rows), note)


def _stages_table(out: Path, config: PipelineConfig) -> Table:
    rows = []
    for stage in config.stages:
        run = read_json(out / "stages" / stage.name / "run.json")
        rehearsed = [f"{share:.0%} {name}" for name, share in stage.rehearse.items()]
        rows.append(
            (
                stage.name,
                stage.job,
                ", ".join([*stage.data, *rehearsed]),
                str(run["step"]),
                f"{run['minutes']:.1f}",
                f"{run['parameters']['trained']:,}",
                f"{run['config']['learning_rate']:g}",
            )
        )
    header = ("stage", "job", "data", "steps", "minutes", "weights trained", "learning rate")
    return Table("Training", header, tuple(rows))


def _steps_table(steps: Sequence[dict[str, Any]]) -> Table:
    rows = [(step["step"], f"{step['seconds']:.0f}", step["what"]) for step in steps]
    total = sum(step["seconds"] for step in steps)
    note = f"{total / 60:.1f} minutes in total, with those of kept steps."
    return Table("Steps", ("step", "seconds", "in this run"), tuple(rows), note)


def _sheet(path: Path) -> str:
    sheet = contact_sheet(read_examples(path, _PICTURES_SHOWN))
    return data_address(encode_png(sheet, optimize=True))
