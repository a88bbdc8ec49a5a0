"""Edit distance: the insertions, deletions and replacements between prediction and reference.

Levenshtein's distance divided by the length of the longer text (as in OmniDocBench and
im2latex-100k): 0 for equal texts, 1 for texts with nothing in common. `edit_chars` counts characters of the
normal forms, `edit_tokens` their LaTeX tokens. Two empty texts have distance 0.
Unit: share of the longer text, 0..1; lower is better. The value of a corpus is the mean of these shares,
not the sum of the edits over the sum of the lengths.
"""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein

from texlens.metrics.base import MEAN_OF_RATIOS, Pair, PairMetric


class EditDistance(PairMetric):
    """Normalised Levenshtein distance over characters and over LaTeX tokens."""

    keys = ("edit_chars", "edit_tokens")
    lower_is_better = True

    averaging = MEAN_OF_RATIOS

    def parameters_of(self, key: str) -> dict[str, object]:
        """What is counted, and how it is normalised."""
        tokens = "char" if key == "edit_chars" else "latex"
        return {"tok": tokens, "text": "normal", "norm": "max"}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The two distances."""
        distance = Levenshtein.normalized_distance
        return {
            "edit_chars": distance(pair.gt_normal, pair.pred_normal),
            "edit_tokens": distance(pair.gt_tokens, pair.pred_tokens),
        }
