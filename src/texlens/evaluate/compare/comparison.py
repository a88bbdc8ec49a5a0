"""Evaluations side by side: tables in the published shape, significance, wins and losses.

The folder holds `compare.md`, `compare.html` (self-contained, no script), and `compare.json`,
written last. The first run's model is the base that all others are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.evaluate.compare.bootstrap import Difference, differences
from texlens.evaluate.compare.gallery import Gallery, make_gallery, pictures_of
from texlens.evaluate.compare.reported_figures import published_tables
from texlens.evaluate.compare.runs import EvaluatedRun, check_comparable
from texlens.evaluate.compare.tables import (
    Table,
    breakdown_tables,
    names,
    overview_table,
    runs_table,
    set_tables,
    signatures,
    unlike_readings,
)
from texlens.metrics.registry import KEYS
from texlens.metrics.report.page import csp_hash, page_asset
from texlens.runs import open_out_folder, provenance, write_json, write_text

MARKER = "compare.json"
PAGE = "compare.html"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found: `found` maps (set, model) to the differences from the base by metric."""

    title: str
    introduction: tuple[str, ...]
    runs: tuple[EvaluatedRun, ...]
    found: dict[tuple[str, str], dict[str, Difference | None]]
    galleries: tuple[Gallery, ...]
    published: tuple[Table, ...]

    @property
    def base(self) -> str:
        """The model that the others are compared with."""
        return self.runs[0].model

    def of_set(self, name: str) -> list[EvaluatedRun]:
        """The runs over one set."""
        return [run for run in self.runs if run.set == name]


def compare(
    runs: Sequence[EvaluatedRun],
    out: Path,
    *,
    data: Sequence[Path] = (),
    published: bool = False,
    title: str = "Comparison",
    introduction: Sequence[str] = (),
    force: bool = False,
) -> dict[str, Any]:
    """Compare evaluations and write the comparison into `out`.

    Args:
        runs: the evaluations, the base first (`compare_runs.find_runs`).
        out: the folder to write.
        data: Parquet files that the runs have read, for the pictures of the gallery.
        published: add what the published reports found, in tables of their own.
        title: the heading of the page.
        introduction: sentences below it.
        force: replace a finished result.

    Returns:
        The content of `compare.json`.

    Raises:
        InputError: there are no runs, or their numbers must not stand in one column.
    """
    if not runs:
        raise InputError("There is nothing to compare: give folders of evaluations.")
    check_comparable(runs)
    pictures = pictures_of(runs, data)
    open_out_folder(out, marker=MARKER, force=force)
    bases = {run.set: run for run in runs if run.model == runs[0].model}
    others = [run for run in runs if run.set in bases and run is not bases[run.set]]
    galleries = [make_gallery(bases[r.set], r, pictures.get(r.set, {})) for r in others]
    comparison = Comparison(
        title,
        (*introduction, *unlike_readings(runs, runs[0].model)),
        tuple(runs),
        {(run.set, run.model): differences(bases[run.set], run, KEYS) for run in others},
        tuple(gallery for gallery in galleries if gallery is not None),
        tuple(published_tables() if published else ()),
    )
    document = _document(comparison)
    write_text(out / "compare.md", _markdown(comparison))
    write_text(out / PAGE, _page(comparison))
    write_json(out / MARKER, document)
    return document


def page_style() -> str:
    """The style of pages of tables: that of all reports, and what such pages add."""
    own = resources.files("texlens.evaluate.compare").joinpath("templates", "compare.css")
    return page_asset("report.css") + own.read_text("utf-8")


def _document(comparison: Comparison) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for run in comparison.runs:
        found = comparison.found.get((run.set, run.model), {})
        metrics = {
            key: metric | {"against_base": _record(found.get(key))}
            for key, metric in run.metrics.items()
        }
        models = sets.setdefault(run.set, {"data_sha256": run.data_sha256, "models": {}})["models"]
        models[run.model] = {
            "n": run.document["n"],
            "metrics": metrics,
            "breakdown": run.document["breakdown"],
            "run": run.document["run"],
        }
    return {"base": comparison.base, "sets": sets, "versions": provenance("numpy", "sacrebleu")}


def _record(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {"difference": difference.value, "ci": list(difference.ci), "p": difference.p}


def _markdown(comparison: Comparison) -> str:
    parts = [f"# {comparison.title}", *comparison.introduction]
    parts.append(overview_table(comparison.runs).markdown(level=2))
    for name in names(run.set for run in comparison.runs):
        runs = comparison.of_set(name)
        parts.append(f"## {name}")
        parts += [t.markdown() for t in set_tables(runs, comparison.found, comparison.base)]
        parts += [_counts(g) for g in comparison.galleries if g.set == name]
        parts += [table.markdown() for table in breakdown_tables(runs)]
    parts += [table.markdown(level=2) for table in comparison.published]
    parts.append(runs_table(comparison.runs).markdown(level=2))
    parts.append("## Signatures")
    parts.append("\n".join(f"- `{signature}`" for signature in signatures(comparison.runs)))
    return "\n\n".join(parts) + "\n"


def _counts(gallery: Gallery) -> str:
    better, worse, equal = gallery.counts
    return (
        f"By {gallery.key}, {gallery.model} read {better} better, {worse} worse, {equal} equally "
        f"well; {PAGE} shows some."
    )


def _page(comparison: Comparison) -> str:
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    style = page_style()
    environment = Environment(
        loader=PackageLoader("texlens.evaluate.compare"), autoescape=True, trim_blocks=True
    )
    sections = []
    for name in names(run.set for run in comparison.runs):
        runs = comparison.of_set(name)
        sections.append(
            {
                "name": name,
                "tables": set_tables(runs, comparison.found, comparison.base),
                "breakdown": breakdown_tables(runs),
                "galleries": [g for g in comparison.galleries if g.set == name],
            }
        )
    html = environment.get_template("compare.html").render(
        title=comparison.title,
        introduction=comparison.introduction,
        base=comparison.base,
        overview=overview_table(comparison.runs),
        sections=sections,
        published=comparison.published,
        runs=runs_table(comparison.runs),
        signatures=signatures(comparison.runs),
        style=Markup(style),  # ours, allowed by hash
        style_hash=Markup(csp_hash(style)),
    )
    # Lone surrogates, which a JSON file can hold, have no UTF-8.
    return html.encode("utf-8", errors="replace").decode()
