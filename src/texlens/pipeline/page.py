"""The first page of the report: data, training, results and links to the details."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from texlens.data.parquet import read_examples
from texlens.data.preview import contact_sheet
from texlens.evaluate.compare.comparison import PAGE
from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.compare.tables import overview_table
from texlens.images import data_address, encode_png
from texlens.pages import render_page
from texlens.pipeline.config import PipelineConfig
from texlens.runs import read_json, write_text
from texlens.tables import Table

INDEX = "index.html"
_PICTURES_SHOWN = 12  # of each set


def write_index(
    out: Path,
    config: PipelineConfig,
    runs: Sequence[ScoredRun],
    steps: Sequence[dict[str, Any]],
) -> None:
    """Write `report/index.html` into the folder of a finished pipeline.

    Args:
        out: the pipeline's folder.
        config: its settings.
        runs: its evaluations.
        steps: the records of its steps (`Steps.records`).
    """
    html = render_page(
        "texlens.pipeline",
        "index",
        title=config.description or "Pipeline",
        heading=config.heading,
        overview=overview_table(runs),
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


def _data_table(out: Path, config: PipelineConfig) -> Table:
    rows = []
    for name, plan in config.sets.items():
        document = read_json(out / "data" / name / "dataset.json")
        counts = document["counts"]
        dropped = sum(n for reasons in document["dropped"].values() for n in reasons.values())
        cells = [str(counts.get(split, 0)) for split in ("train", "validation", "test")]
        rows.append((name, plan.source, plan.kind, *cells, str(dropped)))
    header = ("set", "source", "kind", "train", "validation", "test", "left out")
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
