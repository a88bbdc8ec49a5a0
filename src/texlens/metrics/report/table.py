"""A scoring as Markdown: the table of metrics, then the values by groups of items."""

from __future__ import annotations

from collections.abc import Sequence

from texlens.metrics.scoring import Group, Scoring
from texlens.records import Score
from texlens.tables import markdown_table, number

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
    parts.append(metrics_table(scoring.scores))
    if len(scoring.predictions) > 1:
        parts += [
            f"## By {BREAKDOWN_TITLES[kind]}\n\n{_breakdown_table(BREAKDOWN_TITLES[kind], groups)}"
            for kind, groups in scoring.breakdown.items()
        ]
    if signatures:
        lines = "\n".join(f"- `{score.signature}`" for score in scoring.scores.values())
        parts.append(f"## Signatures\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def metrics_table(scores: dict[str, Score]) -> str:
    """One row per metric: value, 95 % interval, items that count, references not drawn."""
    rows = [
        (
            key,
            number(score.value),
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
        (group.name, str(group.n), *(number(group.values[key]) for key in keys)) for group in groups
    ]
    return markdown_table((title, "n", *keys), rows)
