"""Which class computes which key, and how the metrics of a run are built."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from texlens.errors import InputError, require_extra
from texlens.metrics.base import CdmEngine, Metric

# The keys of every class, in the order of all tables. Modules are imported when needed: a text
# metric does not need scipy.
_CLASSES = {
    ("text.bleu", "Bleu"): ("bleu",),
    ("text.bleu", "Bleu13a"): ("bleu_13a",),
    ("text.unimer", "BleuUnimer"): ("bleu_unimer",),
    ("text.edit", "EditDistance"): ("edit_chars", "edit_tokens"),
    ("text.unimer", "EditUnimer"): ("edit_unimer",),
    ("text.unimer", "Anls"): ("anls",),
    ("text.rouge", "RougeL"): ("rouge_l",),
    ("text.rouge", "RougeLTokens"): ("rouge_l_tokens",),
    ("text.exact", "ExactMatch"): ("exact",),
    ("text.exact", "ExpressionRate"): ("exprate", "exprate_1", "exprate_2"),
    ("cdm.metric", "Cdm"): ("cdm", "exprate_cdm"),
    ("layout.metric", "Layout"): ("layout", "exprate_layout"),
    ("text.validity", "BraceValidity"): ("brace_valid",),
    ("text.validity", "KatexValidity"): ("katex_valid",),
    ("text.validity", "TexCompiles"): ("compiles",),
    ("text.answers", "AnswerFaults"): ("empty", "loop", "unfinished"),
}
# The library of the extra `score` that a class imports.
_LIBRARIES = {
    "Bleu": "sacrebleu",
    "Bleu13a": "sacrebleu",
    "BleuUnimer": "sacrebleu",
    "EditDistance": "rapidfuzz",
    "EditUnimer": "rapidfuzz",
    "Anls": "rapidfuzz",
    "RougeL": "rouge_score",
    "RougeLTokens": "rapidfuzz",
    "ExpressionRate": "rapidfuzz",
    "Cdm": "scipy",
    "Layout": "rapidfuzz",
}
_HOMES = {key: home for home, keys in _CLASSES.items() for key in keys}
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


def require_metrics(keys: Sequence[str]) -> None:
    """Raise MissingExtra, naming the key, where a library that a metric needs is not installed."""
    for key in keys:
        if library := _LIBRARIES.get(_HOMES[key][1]):
            require_extra(f"The metric '{key}'", "score", library)


def build_metrics(keys: Sequence[str], *, cdm_engine: CdmEngine = "mathjax") -> list[Metric]:
    """One instance of every class that the keys need. Raises MissingExtra as `require_metrics`."""
    require_metrics(keys)
    kinds = dict.fromkeys(_kind(key) for key in keys)
    return [
        kind(engine=cdm_engine) if kind.keys[0] == "cdm" else kind()  # type: ignore[call-arg]
        for kind in kinds
    ]


def goodness(key: str, value: float) -> float:
    """The value on a scale where 1 is perfect and 0 is worst, for every metric."""
    return 1 - value if _kind(key).lower_is_better else value


def _kind(key: str) -> type[Metric]:
    module, name = _HOMES[key]
    kind: type[Metric] = getattr(importlib.import_module(f"texlens.metrics.{module}"), name)
    return kind
