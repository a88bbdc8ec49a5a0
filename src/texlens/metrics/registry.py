"""Which class computes which key, and how the metrics of a run are built."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from texlens.errors import InputError
from texlens.metrics.base import CdmEngine, Metric

# The module and class behind every key, in the order of all tables. Modules are imported when
# asked for: a text metric needs no scipy.
_HOMES: dict[str, tuple[str, str]] = {
    "bleu": ("text.bleu", "Bleu"),
    "bleu_13a": ("text.bleu", "Bleu13a"),
    "edit_chars": ("text.edit", "EditDistance"),
    "edit_tokens": ("text.edit", "EditDistance"),
    "rouge_l": ("text.rouge", "RougeL"),
    "rouge_l_tokens": ("text.rouge", "RougeLTokens"),
    "exact": ("text.exact", "ExactMatch"),
    "exprate": ("text.exact", "ExpressionRate"),
    "exprate_1": ("text.exact", "ExpressionRate"),
    "exprate_2": ("text.exact", "ExpressionRate"),
    "cdm": ("cdm.metric", "Cdm"),
    "exprate_cdm": ("cdm.metric", "Cdm"),
    "layout": ("layout.metric", "Layout"),
    "exprate_layout": ("layout.metric", "Layout"),
    "brace_valid": ("text.validity", "BraceValidity"),
    "katex_valid": ("text.validity", "KatexValidity"),
    "compiles": ("text.validity", "TexCompiles"),
    "empty": ("text.answers", "AnswerFaults"),
    "loop": ("text.answers", "AnswerFaults"),
    "unfinished": ("text.answers", "AnswerFaults"),
}
KEYS: tuple[str, ...] = tuple(_HOMES)


def check_keys(keys: Sequence[str] | str | None) -> tuple[str, ...]:
    """The keys to compute, in the order of `KEYS`; all when None. A text is comma-separated.

    Raises InputError when a key is unknown.
    """
    if keys is None:
        return KEYS
    if isinstance(keys, str):
        keys = [key.strip() for key in keys.split(",")]
    unknown = sorted(set(keys) - set(KEYS))
    if unknown or not keys:
        named = f"'{unknown[0]}' is no metric" if unknown else "No metric is named"
        raise InputError(f"{named}: choose from {', '.join(KEYS)}.")
    return tuple(key for key in KEYS if key in keys)


def build_metrics(keys: Sequence[str], *, cdm_engine: CdmEngine = "mathjax") -> list[Metric]:
    """One instance of every class that the keys need."""
    kinds = dict.fromkeys(_kind(key) for key in keys)
    return [
        kind(engine=cdm_engine) if kind.keys[0] == "cdm" else kind()  # type: ignore[call-arg]
        for kind in kinds
    ]


def goodness(key: str, value: float) -> float:
    """A value turned so that 1 is perfect and 0 worst, whatever the metric."""
    return 1 - value if _kind(key).lower_is_better else value


def _kind(key: str) -> type[Metric]:
    module, name = _HOMES[key]
    kind: type[Metric] = getattr(importlib.import_module(f"texlens.metrics.{module}"), name)
    return kind
