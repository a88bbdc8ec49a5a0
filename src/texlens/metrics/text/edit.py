"""Edit distance: the insertions, deletions and replacements between prediction and reference.

Levenshtein's distance divided by the length of the longer text (as in OmniDocBench and
im2latex-100k): 0 for equal texts, 1 for texts with nothing in common. `edit_chars` counts characters of the
normal forms, `edit_tokens` their LaTeX tokens. Two empty texts have distance 0.
Unit: share of the longer text, 0..1; lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from texlens.metrics.base import Drawings, ItemScore, Metric, Pair, sign


class EditDistance(Metric):
    """Normalised Levenshtein distance over characters and over LaTeX tokens."""

    keys = ("edit_chars", "edit_tokens")
    lower_is_better = True

    def signature(self, key: str) -> str:
        """What is counted, how it is normalised, and the version."""
        return sign(key, tok="char" if key == "edit_chars" else "latex", text="normal", norm="max")

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """Two distances a pair."""
        distance = Levenshtein.normalized_distance
        return [
            ItemScore(
                {
                    "edit_chars": distance(pair.gt_normal, pair.pred_normal),
                    "edit_tokens": distance(pair.gt_tokens, pair.pred_tokens),
                }
            )
            for pair in pairs
        ]
