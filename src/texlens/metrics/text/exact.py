"""Exact match, and expression rate with none, one and two errors.

`exact` is 1 where the normal forms of reference and prediction are the same text. `exprate` is the
expression rate of handwriting recognition (Mouchère et al. 2014, "ICFHR 2014 Competition on
Recognition of On-line Handwritten Mathematical Expressions"): the share of formulas whose LaTeX
tokens are all right; `exprate_1` and `exprate_2` forgive one and two errors, an error being one
token inserted, deleted or replaced. The normal form is its tokens, so `exprate` equals `exact`;
both are given because papers report either. Unit: share of items, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from texlens.metrics.base import Drawings, ItemScore, Metric, Pair, sign


class ExactMatch(Metric):
    """1 where the normal forms of reference and prediction are equal, else 0."""

    keys = ("exact",)

    def signature(self, key: str) -> str:
        """The text that is compared, and the version."""
        return sign(key, text="normal")

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value a pair: 1.0 or 0.0."""
        return [ItemScore({"exact": float(pair.gt_normal == pair.pred_normal)}) for pair in pairs]


class ExpressionRate(Metric):
    """1 where at most 0, 1 or 2 tokens must be inserted, deleted or replaced, else 0."""

    keys = ("exprate", "exprate_1", "exprate_2")

    def signature(self, key: str) -> str:
        """The tokens that are compared, the errors forgiven, and the version."""
        return sign(key, tok="latex", text="normal", errors=self.keys.index(key))

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """Three values a pair, each 1.0 or 0.0."""
        forgiven = len(self.keys) - 1
        scores = []
        for pair in pairs:
            errors = Levenshtein.distance(pair.gt_tokens, pair.pred_tokens, score_cutoff=forgiven)
            scores.append(
                ItemScore({key: float(errors <= most) for most, key in enumerate(self.keys)})
            )
        return scores
