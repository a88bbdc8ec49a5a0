"""A scoring on disk: `items.jsonl`, `metrics.md`, `metrics.json`, and a report to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from texlens.metrics.report.page import ReportItem, report_html
from texlens.metrics.report.table import markdown
from texlens.metrics.scoring import Scoring
from texlens.runs import provenance, write_json, write_json_lines, write_text

MARKER = "metrics.json"  # written last: a folder that has it is finished


def metrics_document(scoring: Scoring) -> dict[str, Any]:
    """The content of `metrics.json`."""
    return {
        "metrics": {key: score.as_json() for key, score in scoring.scores.items()},
        "n": len(scoring.predictions),
        "warnings": list(scoring.warnings),
        "breakdown": {
            kind: {group.name: {"n": group.n, "metrics": group.values} for group in groups}
            for kind, groups in scoring.breakdown.items()
        },
        "versions": provenance("numpy", "rapidfuzz", "sacrebleu", "rouge-score", "scipy"),
    }


def item_records(scoring: Scoring) -> list[dict[str, Any]]:
    """The lines of `items.jsonl`, one for every prediction, in their order."""
    return [
        {"id": prediction.id, "metrics": item.values, "warnings": list(item.warnings)}
        for prediction, item in zip(scoring.predictions, scoring.items, strict=True)
    ]


def write_scoring(out: Path, scoring: Scoring) -> dict[str, Any]:
    """Write the three files into `out`; returns what `metrics.json` holds."""
    document = metrics_document(scoring)
    write_json_lines(out / "items.jsonl", item_records(scoring))
    write_text(out / "metrics.md", markdown(scoring))
    write_json(out / MARKER, document)
    return document


def write_report(out: Path, scoring: Scoring, title: str) -> None:
    """Write `report.html` into `out`: the worst items, reference and prediction drawn."""
    items = [
        ReportItem(p.id, p.gt, p.pred, item.values, item.warnings)
        for p, item in zip(scoring.predictions, scoring.items, strict=True)
    ]
    write_text(
        out / "report.html",
        report_html(title, items, scores=scoring.scores, breakdown=scoring.breakdown),
    )
