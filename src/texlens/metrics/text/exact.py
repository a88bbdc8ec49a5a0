"""Exact match, and expression rate with none, one and two errors.

`exact` is 1 where the normal forms of reference and prediction are the same text. `exprate` is the
expression rate of handwriting recognition (Mouchère et al. 2014, "ICFHR 2014 Competition on
Recognition of On-line Handwritten Mathematical Expressions"): the share of formulas whose LaTeX
tokens are all right; `exprate_1` and `exprate_2` forgive one and two errors, an error being one
token inserted, deleted or replaced. The normal form is its tokens, so `exprate` equals `exact`;
both are given because papers report either. Unit: share of items, 0..1.
"""

from __future__ import annotations

from typing import ClassVar

from texlens.metrics.base import Pair, PairMetric


class ExactMatch(PairMetric):
    """1 where the normal forms of reference and prediction are equal, else 0."""

    keys = ("exact",)
    parameters: ClassVar[dict[str, object]] = {"text": "normal"}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """1.0 or 0.0."""
        return {"exact": float(pair.gt_normal == pair.pred_normal)}


class ExpressionRate(PairMetric):
    """1 where at most 0, 1 or 2 tokens must be inserted, deleted or replaced, else 0."""

    keys = ("exprate", "exprate_1", "exprate_2")

    def parameters_of(self, key: str) -> dict[str, object]:
        """The tokens that are compared, and the errors forgiven."""
        return {"tok": "latex", "text": "normal", "errors": self.keys.index(key)}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """Three values, each 1.0 or 0.0."""
        from rapidfuzz.distance import Levenshtein  # `exact` does without

        most = len(self.keys) - 1
        errors = Levenshtein.distance(pair.gt_tokens, pair.pred_tokens, score_cutoff=most)
        return {key: float(errors <= allowed) for allowed, key in enumerate(self.keys)}
