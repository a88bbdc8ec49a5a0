"""A page of predictions beside their references, both rendered, the worst first.

One HTML file that needs nothing outside it (see `texlens.pages`). Formulas are shown as `<img>`,
in which no script runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from texlens.images import data_address
from texlens.metrics.registry import goodness
from texlens.metrics.report.table import BREAKDOWN_TITLES
from texlens.pages import render_page
from texlens.records import Score

if TYPE_CHECKING:
    from texlens.metrics.scoring import Group, Scoring

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
class ReportItem:
    """One item of the page.

    `picture` holds PNG or JPEG bytes; `columns` are further things to show, such as the confidence.
    """

    id: str
    gt: str
    pred: str
    values: Mapping[str, float | None]
    warnings: Sequence[str] = ()
    picture: bytes | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


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
    pictures: Iterable[bytes | None] = repeat(None),
    introduction: Sequence[str] = (),
) -> str:
    """The page of a scoring; `pictures` are those of its predictions, in their order."""
    items = []
    for prediction, result, picture in zip(
        scoring.predictions, scoring.items, pictures, strict=False
    ):
        extra = prediction.extra
        error = extra.get("error")
        found = extra.get("warnings")
        items.append(
            ReportItem(
                prediction.id,
                prediction.gt,
                prediction.pred,
                result.values,
                [
                    *([str(error)] if error else []),
                    *(map(str, found) if isinstance(found, list) else ()),
                    *result.warnings,
                ],
                picture,
                {name: _text(extra[name]) for name in _COLUMNS if name in extra},
            )
        )
    return report_html(
        title,
        items,
        scores=scoring.scores,
        breakdown=scoring.breakdown,
        introduction=[*introduction, *scoring.warnings],
    )


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def report_html(
    title: str,
    items: Sequence[ReportItem],
    *,
    scores: Mapping[str, Score] | None = None,
    breakdown: Mapping[str, Sequence[Group]] | None = None,
    introduction: Sequence[str] = (),
    limit: int = ITEMS_SHOWN,
) -> str:
    """The page as HTML text.

    Shows `scores` and `breakdown` (see `Scoring`) as tables, if given, then the `limit` worst
    items, rendered by MathJax, with the differences between their normal forms marked.
    """
    keys = [key for key in items[0].values if any(item.values[key] is not None for item in items)]
    sort_key = next((key for key in _SORT_KEYS if key in keys), keys[0] if keys else "")
    # An item without a value, whose reference cannot be drawn, comes after all others.
    worst_first = sorted(items, key=lambda item: _goodness(item, sort_key, absent=2.0))[:limit]
    return render_page(
        "texlens.metrics.report",
        "report",
        title=title,
        introduction=introduction,
        scores=scores or {},
        breakdown={BREAKDOWN_TITLES[kind]: groups for kind, groups in (breakdown or {}).items()},
        shown_keys=[key for key in _SHOWN_KEYS if key in keys],
        keys=keys,
        sort_key=sort_key,
        items=_item_contexts(worst_first, keys),
        left_out=len(items) - len(worst_first),
    )


def _item_contexts(items: Sequence[ReportItem], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The values of each item for the template."""
    from texlens.render import svg_many

    rendered = svg_many([text for item in items for text in (item.gt, item.pred)])
    contexts = []
    for item, *drawings in zip(items, rendered[::2], rendered[1::2], strict=True):
        shown = {
            key: (item.values[key], _goodness(item, key, absent=1.0) < 1)
            for key in _SHOWN_KEYS
            if key in keys
        }
        searched = (item.id, item.gt, item.pred, *item.warnings, *item.columns.values())
        named = zip(
            ("reference", "prediction"),
            drawings,
            marked_differences(item.gt, item.pred),
            strict=True,
        )
        contexts.append(
            {
                "id": item.id,
                "values": shown,
                "goodness": json.dumps({k: _goodness(item, k, absent=None) for k in keys}),
                "search_text": "\n".join(text[:_TEXT_SHOWN].lower() for text in searched),
                "columns": item.columns,
                "warnings": item.warnings,
                "picture": data_address(item.picture) if item.picture else None,
                "sides": [
                    RenderedText(
                        name, data_address(drawing.encode("utf-8", errors="replace")), pieces
                    )
                    if isinstance(drawing, str)
                    else RenderedText(name, None, pieces, f"cannot be drawn: {drawing.message}")
                    for name, drawing, pieces in named
                ],
            }
        )
    return contexts


def marked_differences(gt: str, pred: str) -> tuple[Pieces, Pieces]:
    """The normal forms of two texts; a piece is marked where the other text does not have it."""
    from rapidfuzz.distance import Indel

    from texlens.latex import detokenize, normalize, tokenize

    sides = [tokenize(normalize(text[:_TEXT_SHOWN])) for text in (gt, pred)]
    runs: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for step in Indel.opcodes(*sides):
        spans = (step.src_start, step.src_end), (step.dest_start, step.dest_end)
        for side, (start, end), pieces in zip(sides, spans, runs, strict=True):
            if end > start:
                pieces.append((detokenize(side[start:end]) + " ", step.tag != "equal"))
    for text, pieces in zip((gt, pred), runs, strict=True):
        if len(text) > _TEXT_SHOWN:
            pieces.append((f"... ({len(text):,} characters)", False))
    return runs


def _goodness(item: ReportItem, key: str, *, absent: T) -> float | T:
    value = item.values.get(key)
    return absent if value is None else goodness(key, value)
