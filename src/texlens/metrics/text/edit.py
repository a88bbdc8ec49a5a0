"""Edit distance: the insertions, deletions and replacements between prediction and reference.

Levenshtein's distance divided by the length of the longer text (as in OmniDocBench and
im2latex-100k): 0 for equal texts, 1 for texts with nothing in common. `edit_chars` counts characters of the
normal forms, `edit_tokens` their LaTeX tokens. Two empty texts have distance 0.
Unit: share of the longer text, 0..1; lower is better.
"""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein

from texlens.metrics.base import Pair, PairMetric, sign


class EditDistance(PairMetric):
    """Normalised Levenshtein distance over characters and over LaTeX tokens."""

    keys = ("edit_chars", "edit_tokens")
    lower_is_better = True

    def signature(self, key: str) -> str:
        """What is counted, how it is normalised, and the version."""
        return sign(key, tok="char" if key == "edit_chars" else "latex", text="normal", norm="max")

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The two distances."""
        distance = Levenshtein.normalized_distance
        return {
            "edit_chars": distance(pair.gt_normal, pair.pred_normal),
            "edit_tokens": distance(pair.gt_tokens, pair.pred_tokens),
        }
