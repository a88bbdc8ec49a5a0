"""A page that shows readings beside the reference, both drawn, the worst first.

One HTML file without anything outside it: pictures are `data:` addresses, the content security
policy allows the page's own script and style by their hash and nothing else, and everything that
comes from a formula is escaped. Drawings are shown as `<img>`, in which no script runs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from texlens.metrics.registry import goodness
from texlens.metrics.report.table import BREAKDOWN_TITLES
from texlens.png import data_address
from texlens.records import Score

if TYPE_CHECKING:
    from texlens.engine import Failure
    from texlens.metrics.scoring import Group

ITEMS_SHOWN = 300
_TEXT_SHOWN = 4000  # characters of a formula's source

# The first of these that was computed sorts the page.
_SORT_KEYS = ("layout", "cdm", "edit_tokens")
# The values shown beside every item, where they were computed.
_SHOWN_KEYS = ("layout", "cdm", "edit_tokens", "bleu", "exprate", "exact", "katex_valid")


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
    items, drawn by MathJax, their texts in normal form with the differences marked.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    keys = [key for key in items[0].values if any(item.values[key] is not None for item in items)]
    sort_key = next((key for key in _SORT_KEYS if key in keys), keys[0] if keys else "")
    # An item without a value, its reference cannot be drawn, stands behind all others.
    worst_first = sorted(items, key=lambda item: _goodness(item, sort_key, absent=2.0))[:limit]
    style, script = page_asset("report.css"), page_asset("report.js")
    environment = Environment(
        loader=PackageLoader("texlens.metrics.report"), autoescape=True, trim_blocks=True
    )
    environment.filters["number"] = lambda value: "n/a" if value is None else f"{value:.4f}"
    html = environment.get_template("report.html").render(
        title=title,
        introduction=introduction,
        scores=scores or {},
        breakdown={BREAKDOWN_TITLES[kind]: groups for kind, groups in (breakdown or {}).items()},
        shown_keys=[key for key in _SHOWN_KEYS if key in keys],
        keys=keys,
        sort_key=sort_key,
        items=_item_contexts(worst_first, keys),
        left_out=len(items) - len(worst_first),
        style=Markup(style),  # ours, allowed by hash
        script=Markup(script),
        style_hash=Markup(csp_hash(style)),
        script_hash=Markup(csp_hash(script)),
    )
    # Lone surrogates, which a JSON file can hold, have no UTF-8.
    return html.encode("utf-8", errors="replace").decode()


def _item_contexts(items: Sequence[ReportItem], keys: Sequence[str]) -> list[dict[str, Any]]:
    """What the template shows of each item."""
    from texlens.latex import unwrap
    from texlens.render import svg_many

    drawn = svg_many([unwrap(text) for item in items for text in (item.gt, item.pred)])
    contexts = []
    for item, reference, prediction in zip(items, drawn[::2], drawn[1::2], strict=True):
        gt_pieces, pred_pieces = marked_differences(item.gt, item.pred)
        contexts.append(
            {
                "id": item.id,
                "values": {
                    key: (item.values[key], _goodness(item, key, absent=1.0) < 1)
                    for key in _SHOWN_KEYS
                    if key in keys
                },
                "goodness": json.dumps({k: _goodness(item, k, absent=None) for k in keys}),
                "search_text": "\n".join(
                    text[:_TEXT_SHOWN].lower()
                    for text in (
                        item.id,
                        item.gt,
                        item.pred,
                        *item.warnings,
                        *item.columns.values(),
                    )
                ),
                "columns": item.columns,
                "warnings": item.warnings,
                "picture": data_address(item.picture) if item.picture else None,
                "sides": [
                    _side_context("reference", reference, gt_pieces),
                    _side_context("reading", prediction, pred_pieces),
                ],
            }
        )
    return contexts


def _side_context(
    name: str, drawn: str | Failure, pieces: Sequence[tuple[str, bool]]
) -> dict[str, Any]:
    context = {"name": name, "pieces": pieces, "drawing": None, "failure": None}
    if isinstance(drawn, str):
        context["drawing"] = data_address(drawn.encode("utf-8", errors="replace"))
    else:
        context["failure"] = f"cannot be drawn: {drawn.message}"
    return context


def marked_differences(gt: str, pred: str) -> tuple[list[tuple[str, bool]], ...]:
    """The normal forms in runs of tokens, each with whether the other text lacks it."""
    from rapidfuzz.distance import Indel

    from texlens.latex import detokenize, normalize, tokenize

    sides = [tokenize(normalize(text[:_TEXT_SHOWN])) for text in (gt, pred)]
    runs: tuple[list[tuple[str, bool]], ...] = ([], [])
    for step in Indel.opcodes(*sides):
        spans = (step.src_start, step.src_end), (step.dest_start, step.dest_end)
        for side, (start, end), pieces in zip(sides, spans, runs, strict=True):
            if end > start:
                pieces.append((detokenize(side[start:end]) + " ", step.tag != "equal"))
    for text, pieces in zip((gt, pred), runs, strict=True):
        if len(text) > _TEXT_SHOWN:
            pieces.append((f"... ({len(text):,} characters)", False))
    return runs


T = TypeVar("T")


def _goodness(item: ReportItem, key: str, *, absent: T) -> float | T:
    value = item.values.get(key)
    return absent if value is None else goodness(key, value)


def page_asset(name: str) -> str:
    """A file of `templates/`: the style and the script that pages carry."""
    return resources.files("texlens.metrics.report").joinpath("templates", name).read_text("utf-8")


def csp_hash(text: str) -> str:
    """The source expression that lets a content security policy allow exactly this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
