"""A scoring on disk: `items.jsonl`, `metrics.md`, `metrics.json`, and a page where wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from texlens.metrics.predictions import references_sha256
from texlens.metrics.report.table import markdown
from texlens.metrics.scoring import Scoring
from texlens.runs import provenance, write_json, write_json_lines, write_text

MARKER = "metrics.json"  # written last: a folder that has it is finished


def metrics_document(scoring: Scoring) -> dict[str, Any]:
    """The content of `metrics.json`."""
    return {
        "metrics": {key: score.as_json() for key, score in scoring.scores.items()},
        "n": len(scoring.predictions),
        "references_sha256": references_sha256({p.id: p.gt for p in scoring.predictions}),
        "warnings": list(scoring.warnings),
        "breakdown": {
            kind: {group.name: {"n": group.n, "metrics": group.values} for group in groups}
            for kind, groups in scoring.breakdown.items()
        },
        "versions": provenance("numpy", "rapidfuzz", "sacrebleu", "rouge-score", "scipy"),
    }


def write_scoring(
    out: Path, scoring: Scoring, *, page: str | None = None, **more: Any
) -> dict[str, Any]:
    """Write a scoring into `out`.

    Args:
        out: the folder.
        scoring: the scores and their items; `items.jsonl` gets a line for every prediction.
        page: the content of `report.html`; without it there is none.
        more: further keys of `metrics.json`.

    Returns:
        The content of `metrics.json`.
    """
    document = metrics_document(scoring) | more
    records = (
        {"id": prediction.id, "metrics": item.values, "warnings": list(item.warnings)}
        for prediction, item in zip(scoring.predictions, scoring.items, strict=True)
    )
    write_json_lines(out / "items.jsonl", records)
    write_text(out / "metrics.md", markdown(scoring))
    if page is not None:
        write_text(out / "report.html", page)
    write_json(out / MARKER, document)
    return document
