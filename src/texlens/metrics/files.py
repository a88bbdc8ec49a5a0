"""A scoring on disk: `items.jsonl`, `metrics.md` and, last because it marks the folder finished,
`metrics.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from texlens.metrics.scoring import Scoring
from texlens.metrics.table import markdown
from texlens.runs import provenance, write_json, write_json_lines, write_text

MARKER = "metrics.json"


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
