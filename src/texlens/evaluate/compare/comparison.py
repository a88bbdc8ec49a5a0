"""Evaluations side by side: tables, significance, wins and losses.

The folder holds `compare.md`, `compare.html` (one file, without a script), and `compare.json`,
written last. The first run's model is the base that all others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.evaluate.compare.bootstrap import Difference, differences
from texlens.evaluate.compare.gallery import Gallery, make_gallery, pictures_of
from texlens.evaluate.compare.reported_figures import reported_tables
from texlens.evaluate.compare.runs import EvaluatedRun, check_comparable
from texlens.evaluate.compare.tables import (
    Differences,
    breakdown_tables,
    names,
    other_conditions,
    overview_table,
    runs_table,
    set_tables,
    signatures,
)
from texlens.metrics.registry import KEYS
from texlens.pages import render_page
from texlens.runs import open_out_folder, provenance, write_json, write_text
from texlens.tables import Table

MARKER = "compare.json"
PAGE = "compare.html"


@dataclass(frozen=True, slots=True)
class Section:
    """The comparison on one set."""

    name: str
    tables: list[Table]
    breakdown: list[Table]
    galleries: list[Gallery]


def compare(
    runs: Sequence[EvaluatedRun],
    out: Path,
    *,
    data: Sequence[Path] = (),
    reported: bool = False,
    title: str = "Comparison",
    introduction: Sequence[str] = (),
    force: bool = False,
) -> dict[str, Any]:
    """Compare evaluations and write the comparison into `out`.

    Args:
        runs: the evaluations, the base first (`compare_runs.find_runs`).
        out: the folder to write.
        data: Parquet files that the runs have read, for the pictures of the gallery.
        reported: add the figures of the qwen-ocr report and the GRPO report, in their own tables.
        title: the heading of the page.
        introduction: sentences below it.
        force: replace a finished result.

    Returns:
        The content of `compare.json`.

    Raises:
        InputError: there are no runs, or their numbers must not be in one column.
    """
    if not runs:
        raise InputError("There is nothing to compare: give folders of evaluations.")
    check_comparable(runs)
    pictures = pictures_of(runs, data)
    open_out_folder(out, marker=MARKER, force=force)
    base = runs[0].model
    bases = {run.set: run for run in runs if run.model == base}
    others = [run for run in runs if run.set in bases and run is not bases[run.set]]
    galleries = [make_gallery(bases[r.set], r, pictures.get(r.set, {})) for r in others]
    found = {(run.set, run.model): differences(bases[run.set], run, KEYS) for run in others}
    sections = []
    for name in names(run.set for run in runs):
        of_set = [run for run in runs if run.set == name]
        sections.append(
            Section(
                name,
                set_tables(of_set, found, base),
                breakdown_tables(of_set),
                [g for g in galleries if g is not None and g.set == name],
            )
        )
    shown: dict[str, Any] = {
        "title": title,
        "introduction": [*introduction, *other_conditions(runs, base)],
        "base": base,
        "overview": overview_table(runs),
        "sections": sections,
        "reported": reported_tables() if reported else [],
        "runs": runs_table(runs),
        "signatures": signatures(runs),
    }
    document = _document(runs, found)
    write_text(out / "compare.md", _markdown(**shown))
    write_text(out / PAGE, render_page("texlens.evaluate.compare", "compare", **shown))
    write_json(out / MARKER, document)
    return document


def read_overview(folder: Path) -> str:
    """The first table of a written comparison: every model on every set."""
    text = (folder / "compare.md").read_text(encoding="utf-8")
    return text.split("\n\n## ")[1].partition("\n\n")[2]


def _document(runs: Sequence[EvaluatedRun], found: Differences) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for run in runs:
        against: Mapping[str, Difference | None] = found.get((run.set, run.model), {})
        metrics = {
            key: metric | {"against_base": _record(against.get(key))}
            for key, metric in run.metrics.items()
        }
        models = sets.setdefault(run.set, {"data_sha256": run.data_sha256, "models": {}})["models"]
        models[run.model] = {
            "n": run.document["n"],
            "metrics": metrics,
            "breakdown": run.document["breakdown"],
            "run": run.document["run"],
        }
    return {"base": runs[0].model, "sets": sets, "versions": provenance("numpy", "sacrebleu")}


def _record(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {"difference": difference.value, "ci": list(difference.ci), "p": difference.p}


def _markdown(
    *,
    title: str,
    introduction: Sequence[str],
    base: str,
    overview: Table,
    sections: Sequence[Section],
    reported: Sequence[Table],
    runs: Table,
    signatures: Sequence[str],
) -> str:
    parts = [f"# {title}", *introduction, overview.markdown(level=2)]
    for section in sections:
        parts += [f"## {section.name}", *(table.markdown() for table in section.tables)]
        for gallery in section.galleries:
            better, worse, equal = gallery.counts
            parts.append(
                f"{gallery.model} against {base}, by {gallery.key}: {better} better, {worse} worse, "
                f"{equal} equal; {PAGE} shows some."
            )
        parts += [table.markdown() for table in section.breakdown]
    parts += [table.markdown(level=2) for table in (*reported, runs)]
    parts += ["## Signatures", "\n".join(f"- `{signature}`" for signature in signatures)]
    return "\n\n".join(parts) + "\n"
