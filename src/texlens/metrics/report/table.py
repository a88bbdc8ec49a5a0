"""A scoring as Markdown: the table of metrics, then the values by groups of items."""

from __future__ import annotations

from collections.abc import Mapping

from texlens.metrics.scoring import Scoring
from texlens.records import Score
from texlens.tables import Table, number

# The columns of the breakdown, where they were computed; all other metrics are in metrics.json.
_BREAKDOWN_KEYS = ("bleu", "edit_tokens", "exprate", "cdm", "exprate_cdm", "layout")
BREAKDOWN_TITLES = {
    "length": "tokens of the reference",
    "lines": "lines of the reference",
    "arrays": "arrays in the reference",
    "source": "source",
    "kind": "kind",
}


def markdown(scoring: Scoring, *, signatures: bool = True) -> str:
    """The whole `metrics.md`; for a terminal without the signatures."""
    parts = [f"# Scores of {len(scoring.predictions)} predictions"]
    if scoring.warnings:
        parts.append("\n".join(f"> {warning}" for warning in scoring.warnings))
    parts.append(metrics_table(scoring.scores).markdown())
    if len(scoring.predictions) > 1:
        parts += [table.markdown(level=2) for table in breakdown_tables(scoring)]
    if signatures:
        lines = "\n".join(f"- `{score.signature}`" for score in scoring.scores.values())
        parts.append(f"## Signatures\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def metrics_table(scores: Mapping[str, Score]) -> Table:
    """One row per metric: value, 95 % interval, items that count, references not drawn, faults."""
    faults = any(score.n_faults for score in scores.values())
    rows = tuple(
        (
            key,
            number(score.value),
            f"{score.ci[0]:.4f} - {score.ci[1]:.4f}" if score.ci else "",
            str(score.n),
            str(score.n_truth_failed or ""),
            *([str(score.n_faults or "")] if faults else []),
        )
        for key, score in scores.items()
    )
    columns = ("metric", "value", "95 % interval", "n", "references not drawn")
    return Table("", (*columns, "faults") if faults else columns, rows)


def breakdown_tables(scoring: Scoring) -> list[Table]:
    """The values by groups of items, a table for every kind of group."""
    keys = [key for key in _BREAKDOWN_KEYS if key in scoring.scores] or list(scoring.scores)[:6]
    tables = []
    for kind, groups in scoring.breakdown.items():
        rows = tuple(
            (group.name, str(group.n), *(number(group.values[key]) for key in keys))
            for group in groups
        )
        title = BREAKDOWN_TITLES[kind]
        tables.append(Table(f"By {title}", (title, "n", *keys), rows))
    return tables
