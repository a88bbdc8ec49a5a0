"""A page of predictions beside their references, both rendered, the worst first.

One HTML file that needs nothing outside it (see `texlens.pages`). Formulas are shown as `<img>`,
in which no script runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, TypeVar

from texlens.images import data_address
from texlens.metrics.registry import goodness
from texlens.metrics.report.table import breakdown_tables, metrics_table
from texlens.pages import render_page
from texlens.records import WARNINGS, Prediction

if TYPE_CHECKING:
    from texlens.engine import Failure
    from texlens.metrics.batches import ItemResult
    from texlens.metrics.scoring import Scoring

ITEMS_SHOWN = 300
_TEXT_SHOWN = 4000  # characters of a formula's source

# The first of these that was computed sorts the page.
_SORT_KEYS = ("layout", "cdm", "edit_tokens")
# The values shown beside every item, where they were computed.
_SHOWN_KEYS = ("layout", "cdm", "edit_tokens", "bleu", "exprate", "exact", "katex_valid")
# Further fields of a prediction that are shown.
_COLUMNS = ("confidence", "about", "kind", "source")

# Runs of tokens, each with whether it is marked as different.
Pieces = Sequence[tuple[str, bool]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A formula beside a picture: its name, the address of its rendering or why there is none."""

    name: str
    drawing: str | None
    pieces: Pieces
    failure: str = "cannot be drawn"


def scoring_page(
    title: str,
    scoring: Scoring,
    *,
    pictures: Callable[[Sequence[str]], Mapping[str, bytes | None]] | None = None,
    introduction: Sequence[str] = (),
    limit: int = ITEMS_SHOWN,
) -> str:
    """The page of a scoring as HTML text.

    Args:
        title: the heading.
        scoring: its scores and its breakdown become tables; then come the worst items, drawn by
            MathJax, with the differences between their normal forms marked.
        pictures: gives the PNG or JPEG files of the items that are shown, by their ids; or none.
        introduction: sentences below the heading.
        limit: the number of items shown.
    """
    first = scoring.items[0].values
    keys = [key for key in first if any(item.values[key] is not None for item in scoring.items)]
    sort_key = next((key for key in _SORT_KEYS if key in keys), keys[0] if keys else "")
    rows = list(zip(scoring.predictions, scoring.items, strict=True))
    # An item without a value, whose reference cannot be drawn, comes after all others.
    worst_first = sorted(rows, key=lambda row: _goodness(row[1], sort_key, absent=2.0))[:limit]
    shown = pictures([prediction.id for prediction, _ in worst_first]) if pictures else {}
    return render_page(
        "texlens.metrics.report",
        "report",
        title=title,
        introduction=[*introduction, *scoring.warnings],
        scores=metrics_table(scoring.scores),
        breakdown=breakdown_tables(scoring),
        signatures=[score.signature for score in scoring.scores.values()],
        keys=keys,
        sort_key=sort_key,
        items=_item_contexts(worst_first, keys, shown),
        left_out=len(rows) - len(worst_first),
    )


def _item_contexts(
    rows: Sequence[tuple[Prediction, ItemResult]],
    keys: Sequence[str],
    pictures: Mapping[str, bytes | None],
) -> list[dict[str, Any]]:
    """The values of each item for the template."""
    from texlens.latex import formula_of
    from texlens.render import svg_many

    drawn = svg_many([formula_of(text) for item, _ in rows for text in (item.gt, item.pred)])
    contexts = []
    for (item, result), *drawings in zip(rows, drawn[::2], drawn[1::2], strict=True):
        extra, picture = item.extra, pictures.get(item.id)
        columns = {
            name: _text(extra[name]) for name in _COLUMNS if extra.get(name) not in (None, "")
        }
        reported = extra.get("warnings")
        reported = [extra.get("error"), *(reported if isinstance(reported, list) else ())]
        warnings = [
            *(WARNINGS.get(str(one), str(one)) for one in reported if one),
            *result.warnings,
        ]
        searched = map(str, (item.id, item.gt, item.pred, *warnings, *columns.values()))
        texts = zip(drawings, marked_differences(item.gt, item.pred), strict=True)
        contexts.append(
            {
                "id": item.id,
                "values": {
                    key: (result.values[key], _goodness(result, key, absent=1.0) < 1)
                    for key in _SHOWN_KEYS
                    if key in keys
                },
                "goodness": json.dumps({k: _goodness(result, k, absent=None) for k in keys}),
                "search_text": "\n".join(text[:_TEXT_SHOWN].lower() for text in searched),
                "columns": columns,
                "warnings": warnings,
                "picture": data_address(picture) if picture else None,
                "sides": [
                    _rendered(name, drawing, pieces)
                    for name, (drawing, pieces) in zip(
                        ("reference", "prediction"), texts, strict=True
                    )
                ],
            }
        )
    return contexts


def _rendered(name: str, drawing: str | Failure, pieces: Pieces) -> RenderedText:
    if isinstance(drawing, str):
        return RenderedText(name, data_address(drawing.encode(errors="replace")), pieces)
    return RenderedText(name, None, pieces, f"cannot be drawn: {drawing.message}")


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def marked_differences(gt: str, pred: str) -> tuple[Pieces, Pieces]:
    """The normal forms of two texts; a piece is marked where the other text does not have it."""
    from texlens.latex import detokenize, normalize, tokenize

    sides = [tokenize(normalize(text[:_TEXT_SHOWN])) for text in (gt, pred)]
    runs: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for tag, start_gt, end_gt, start_pred, end_pred in SequenceMatcher(
        None, sides[0], sides[1]
    ).get_opcodes():
        spans = (start_gt, end_gt), (start_pred, end_pred)
        for side, (start, end), pieces in zip(sides, spans, runs, strict=True):
            if end > start:
                pieces.append((detokenize(side[start:end]) + " ", tag != "equal"))
    for text, pieces in zip((gt, pred), runs, strict=True):
        if len(text) > _TEXT_SHOWN:
            pieces.append((f"... ({len(text):,} characters)", False))
    return runs


def _goodness(item: ItemResult, key: str, *, absent: T) -> float | T:
    value = item.values.get(key)
    return absent if value is None else goodness(key, value)
