"""The page of an evaluation: every picture beside its reference and its reading, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.metrics.report.page import ReportItem, report_html
from texlens.metrics.scoring import Scoring
from texlens.reading.pictures.opening import as_png, open_picture
from texlens.records import Example, Prediction
from texlens.runs import write_text


def write_report(
    path: Path, scoring: Scoring, examples: Iterable[Example], document: dict[str, Any]
) -> None:
    """Write `report.html`; `examples` are those of the scored predictions, in their order."""
    items = [
        ReportItem(
            id=prediction.id,
            gt=prediction.gt,
            pred=prediction.pred,
            values=result.values,
            warnings=_warnings(prediction, result.warnings),
            picture=show_picture(example.image),
            columns={
                "confidence": f"{prediction.extra.get('confidence', 0.0):.2f}",
                "kind": str(prediction.extra.get("kind", "")),
                "source": str(prediction.extra.get("source", "")),
            },
        )
        for prediction, result, example in zip(
            scoring.predictions, scoring.items, examples, strict=True
        )
    ]
    run = document["run"]
    introduction = [f"{len(items)} pictures of {run['data']}, read by {run['model']}."]
    title = f"Evaluation of {run['model']} on {run['data']}"
    page = report_html(
        title,
        items,
        scores=scoring.scores,
        breakdown=scoring.breakdown,
        introduction=introduction + list(scoring.warnings),
    )
    write_text(path, page)


def _warnings(prediction: Prediction, found: Iterable[str]) -> list[str]:
    error = prediction.extra.get("error")
    codes = prediction.extra.get("warnings", [])
    return [*([error] if error else []), *codes, *found]


def show_picture(content: bytes) -> bytes | None:
    """The picture as a browser can show it; None when it cannot be opened."""
    try:
        return as_png(open_picture(content), max_side=1200)
    except InputError:
        return None
