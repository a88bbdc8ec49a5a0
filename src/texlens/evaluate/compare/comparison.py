"""Systems side by side: tables, significance, wins and losses.

The folder holds `compare.md`, `compare.html` (one file, without a script), and `compare.json`,
written last. The first run's model is the base that all others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.evaluate.compare.gallery import Gallery, make_gallery, picture_sources
from texlens.evaluate.compare.reported_figures import reported_tables
from texlens.evaluate.compare.runs import ScoredRun, check_comparable
from texlens.evaluate.compare.significance import SetStatistics, Value, set_statistics
from texlens.evaluate.compare.tables import (
    breakdown_tables,
    names,
    other_conditions,
    overview_table,
    pairs_table,
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
    """The comparison on one set; `pairs` is the table of all tests."""

    name: str
    tables: list[Table]
    pairs: Table
    breakdown: list[Table]
    galleries: list[Gallery]


def compare(
    runs: Sequence[ScoredRun],
    out: Path,
    *,
    data: Sequence[Path] = (),
    reported: bool = False,
    title: str = "Comparison",
    introduction: Sequence[str] = (),
    force: bool = False,
) -> dict[str, Any]:
    """Compare systems and write the comparison into `out`.

    Args:
        runs: the scored predictions of each, the base first (`find_runs`).
        out: the folder to write.
        data: Parquet files that the systems have read, for the pictures of the gallery.
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
        raise InputError(
            "There is nothing to compare: give files of predictions or folders of scores."
        )
    check_comparable(runs)
    sources = picture_sources(runs, data)
    base = runs[0].model
    sets = {name: [r for r in runs if r.set == name] for name in names(run.set for run in runs)}
    found = {name: set_statistics(of_set, KEYS) for name, of_set in sets.items()}
    open_out_folder(out, marker=MARKER, force=force)
    sections = []
    for name, of_set in sets.items():
        galleries = [
            make_gallery(one, run, sources.get(name))
            for one in of_set
            if one.model == base
            for run in of_set
            if run is not one
        ]
        sections.append(
            Section(
                name,
                set_tables(of_set, found[name], base),
                pairs_table(of_set, found[name]),
                breakdown_tables(of_set),
                [gallery for gallery in galleries if gallery is not None],
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
    document = _document(sets, found, base)
    write_text(out / "compare.md", _markdown(**shown))
    write_text(out / PAGE, render_page("texlens.evaluate.compare", "compare", **shown))
    write_json(out / MARKER, document)
    return document


def read_overview(folder: Path) -> str:
    """The first table of a written comparison: every model on every set."""
    text = (folder / "compare.md").read_text(encoding="utf-8")
    return text.split("\n\n## ")[1].partition("\n\n")[2]


def _document(
    sets: Mapping[str, Sequence[ScoredRun]], found: Mapping[str, SetStatistics], base: str
) -> dict[str, Any]:
    return {
        "base": base,
        "sets": {name: _set_document(runs, found[name]) for name, runs in sets.items()},
        "versions": provenance("numpy", "sacrebleu"),
    }


def _set_document(runs: Sequence[ScoredRun], found: SetStatistics) -> dict[str, Any]:
    return {
        "references_sha256": runs[0].references_sha256,
        "data_sha256": next((run.data_sha256 for run in runs if run.data_sha256), None),
        "left_out": found.left_out,
        "models": {
            run.model: {
                "n": run.document["n"],
                "metrics": {
                    key: metric | _common(found.values.get((run.model, key)))
                    for key, metric in run.metrics.items()
                },
                "breakdown": run.document["breakdown"],
                "run": run.about,
            }
            for run in runs
        },
        "pairs": [
            {
                "system": second.model,
                "other": first.model,
                "metrics": {
                    key: asdict(one) | {"ci": list(one.ci)}
                    for key, one in found.differences.get((second.model, first.model), {}).items()
                },
            }
            for first, second in combinations(runs, 2)
        ],
    }


def _common(value: Value | None) -> dict[str, Any]:
    """The value over the items that all systems have one for, in place of the recorded one."""
    return {} if value is None else {"value": value.value, "ci": list(value.ci), "n": value.n}


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
        parts.append(section.pairs.markdown())
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
