r"""BLEU, edit distance and ANLS as UniMERNet's evaluation and the qwen-ocr report compute them.

All three compare characters of LaTeX that is normalised in spacing only (`spacing_normalised`), and
depend on how reference and prediction are spelled:

- `bleu_unimer`: corpus BLEU of Hugging Face `evaluate` (tokeniser 13a, no smoothing, all four orders).
- `edit_unimer`: the mean of rapidfuzz's normalised Levenshtein distance over characters.
- `anls`: average normalised Levenshtein similarity with threshold 0.5 (Biten et al. 2019, "Scene Text
  Visual Question Answering", arXiv 1905.13648), as the package anls 0.0.2 computes it: letters in lower
  case, 0 from a distance of 0.5.

Unit: 0..1. Sources: github.com/opendatalab/UniMERNet (test.py), github.com/Evvvvvvvva/qwen-ocr (eval.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import Levenshtein

from texlens.metrics.base import MEAN_OF_RATIOS, Floats, Pair, PairMetric, comparable
from texlens.metrics.text.bleu import ORDERS, SacreBleuCounts

ANLS_THRESHOLD = 0.5

# Upright text loses all its spaces.
_UPRIGHT = re.compile(r"\\(?:operatorname|mathrm|text|mathbf)\s?\*? \{[^}\n]*\}")
# Spaces are lost between two characters, unless both are letters, or `\ ` begins there.
_BETWEEN = (
    re.compile(r"(?!\\ )([\W_^\d])\s+?([\W_^\d])"),
    re.compile(r"(?!\\ )([\W_^\d])\s+?([a-zA-Z])"),
    re.compile(r"([a-zA-Z])\s+?([\W_^\d])"),
)


@lru_cache(maxsize=4096)
def spacing_normalised(text: str, *, drop_dollars: bool = False) -> str:
    """A text with only those spaces that end a command, as im2markup's and UniMERNet's scripts leave it.

    With `drop_dollars` the first two `$$` are removed, as the report does with answers.
    """
    text = comparable(text).strip()
    if drop_dollars:
        text = text.replace("$$", "", 2)
    text = _UPRIGHT.sub(lambda found: found[0].replace(" ", ""), text)
    before = None
    while text != before:
        before = text
        for pattern in _BETWEEN:
            text = pattern.sub(r"\1\2", text)
    return text


def texts(pair: Pair) -> tuple[str, str]:
    """Reference and prediction as these metrics compare them."""
    return spacing_normalised(pair.gt), spacing_normalised(pair.pred, drop_dollars=True)


class BleuUnimer(SacreBleuCounts):
    """Corpus BLEU of Hugging Face `evaluate`: 0 without a common 4-gram in the corpus.

    The value of an item, which the original does not define, is smoothed as that of `bleu` is.
    """

    keys = ("bleu_unimer",)
    sacrebleu_tokenizer = tokens = "13a"
    text = "unimer"
    effective_order, smoothing = "no", "none"

    def texts(self, pair: Pair) -> tuple[str, str]:
        """The texts, normalised in spacing."""
        return texts(pair)

    def item_values(self, statistics: Floats) -> Floats:
        """Smoothed sentence BLEU."""
        return super().from_totals(statistics)

    def from_totals(self, totals: Floats) -> Floats:
        """BLEU from summed statistics, without smoothing."""
        matches, ngrams = totals[:, :ORDERS], totals[:, ORDERS : 2 * ORDERS]
        length, reference_length = totals[:, -2], totals[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.exp(np.log(matches / ngrams).mean(axis=1))
            brevity = np.exp(np.minimum(0.0, 1 - reference_length / length))
            value = np.where(matches.min(axis=1) > 0, precision * brevity, 0.0)
        both_empty: Floats = (length == 0) & (reference_length == 0)
        return np.where(both_empty, 1.0, value)


class EditUnimer(PairMetric):
    """Normalised Levenshtein distance over characters."""

    keys = ("edit_unimer",)
    averaging = MEAN_OF_RATIOS
    lower_is_better = True
    parameters: ClassVar[dict[str, object]] = {
        "tok": "char", "text": "unimer", "norm": "max",
    }  # fmt: skip

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The distance, 0..1."""
        reference, prediction = texts(pair)
        return {"edit_unimer": Levenshtein.normalized_distance(prediction, reference)}


class Anls(PairMetric):
    """Average normalised Levenshtein similarity, 0 where less than half is right."""

    keys = ("anls",)
    averaging = MEAN_OF_RATIOS
    parameters: ClassVar[dict[str, object]] = {
        "tok": "char", "case": "lower", "text": "unimer", "norm": "max",
        "threshold": ANLS_THRESHOLD,
    }  # fmt: skip

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The similarity, 0..1."""
        reference, prediction = (" ".join(text.lower().split()) for text in texts(pair))
        # The original takes the lengths of the upper case forms, which differ for a few letters.
        longest = max(len(reference.upper()), len(prediction.upper()))
        distance = Levenshtein.distance(reference, prediction) / longest if longest else 0.0
        return {"anls": 1 - distance if distance < ANLS_THRESHOLD else 0.0}
