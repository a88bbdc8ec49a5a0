"""A scoring as Markdown: the table of metrics, and where the items are good and bad."""

from __future__ import annotations

from collections.abc import Sequence

from texlens.metrics.scoring import Group, Scoring
from texlens.records import Score

# The columns of the breakdown, where they were computed; all other metrics are in metrics.json.
_BREAKDOWN_KEYS = ("bleu", "edit_tokens", "exprate", "cdm", "exprate_cdm", "layout")
BREAKDOWN_TITLES = {
    "length": "tokens of the reference",
    "lines": "lines of the reference",
    "arrays": "arrays in the reference",
    "source": "source",
    "kind": "kind",
}


def markdown(scoring: Scoring) -> str:
    """The whole `metrics.md`."""
    parts = [f"# Scores of {len(scoring.predictions)} predictions", metrics_table(scoring.scores)]
    if len(scoring.predictions) > 1:
        parts += [
            f"## By {BREAKDOWN_TITLES[kind]}\n\n{_breakdown_table(BREAKDOWN_TITLES[kind], groups)}"
            for kind, groups in scoring.breakdown.items()
        ]
    signatures = "\n".join(f"- `{score.signature}`" for score in scoring.scores.values())
    parts.append(f"## Signatures\n\n{signatures}")
    if scoring.warnings:
        parts.insert(1, "\n".join(f"> {warning}" for warning in scoring.warnings))
    return "\n\n".join(parts) + "\n"


def metrics_table(scores: dict[str, Score]) -> str:
    """One row a metric: value, 95 % interval, items that count, references that cannot be drawn."""
    rows = [
        (
            key,
            _number(score.value),
            f"{score.ci[0]:.4f} - {score.ci[1]:.4f}" if score.ci else "",
            str(score.n),
            str(score.n_truth_failed or ""),
        )
        for key, score in scores.items()
    ]
    return markdown_table(("metric", "value", "95 % interval", "n", "references not drawn"), rows)


def _breakdown_table(title: str, groups: Sequence[Group]) -> str:
    computed = groups[0].values
    keys = [key for key in _BREAKDOWN_KEYS if key in computed] or list(computed)[:6]
    rows = [
        (group.name, str(group.n), *(_number(group.values[key]) for key in keys))
        for group in groups
    ]
    return markdown_table((title, "n", *keys), rows)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned: the first to the left, the others to the right."""
    cells = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append(f"| {' | '.join(padded)} |")
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _cell(text: str) -> str:
    """One line that cannot end the cell, and that any terminal can encode."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line.encode("utf-8", errors="replace").decode()
