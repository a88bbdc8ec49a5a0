"""BLEU, over LaTeX tokens and as older papers computed it, both counted by sacrebleu.

BLEU (Papineni et al. 2002) is the geometric mean of the shares of the prediction's 1- to 4-grams
that the reference has, times a penalty for predictions that are too short. The value of a corpus comes
from the n-grams of all its items together; the value of an item in `items.jsonl` is its sentence
BLEU, and their mean is not the corpus value. Both use sacrebleu's exponential smoothing and, so
that a formula of fewer than four tokens can score 1, sacrebleu's effective order. Unit: 0..1
(sacrebleu prints 0..100).

- `bleu` counts LaTeX tokens of the normal forms.
- `bleu_13a` counts what sacrebleu's default tokeniser `13a`, made for news, finds in the raw text.
  It splits `\\frac` into a backslash and a word and depends on how the reference is spaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from texlens.metrics.base import CorpusMetric, Drawings, Floats, ItemScore, Pair, comparable

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU as SacreBleu

ORDERS = 4


class SacreBleuCounts(CorpusMetric):
    """Statistics of an item: matching n-grams (4), n-grams of the prediction (4), both lengths."""

    sacrebleu_tokenizer: str
    # In the signature: the tokens, and the form of the text they are taken from.
    tokens: str
    text: str
    effective_order, smoothing = "yes", "exp"

    @cached_property
    def _sacrebleu(self) -> SacreBleu:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(tokenize=self.sacrebleu_tokenizer, effective_order=True)

    def parameters_of(self, key: str) -> dict[str, object]:
        """sacrebleu's fields, with our names of tokens and text."""
        from sacrebleu import __version__

        return {
            "nrefs": 1, "case": "mixed", "eff": self.effective_order, "tok": self.tokens,
            "smooth": self.smoothing, "text": self.text, "sacrebleu": __version__,
        }  # fmt: skip

    def texts(self, pair: Pair) -> tuple[str, str]:
        """Reference and prediction in the form for sacrebleu."""
        raise NotImplementedError

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """Sentence BLEU of each pair, with the statistics that make up the corpus value."""
        rows = []
        for pair in pairs:
            reference, prediction = self.texts(pair)
            counted = self._sacrebleu.sentence_score(prediction, [reference])
            rows.append((*counted.counts, *counted.totals, counted.sys_len, counted.ref_len))
        values = self.item_values(np.array(rows, dtype=np.float64).reshape(-1, 2 * ORDERS + 2))
        return [
            ItemScore({self.keys[0]: float(value)}, statistics=row)
            for value, row in zip(values, rows, strict=True)
        ]

    def item_values(self, statistics: Floats) -> Floats:
        """Sentence BLEU of each item, from its statistics."""
        return self.from_totals(statistics)

    def from_totals(self, totals: Floats) -> Floats:
        """BLEU from summed statistics: sacrebleu's formula for many corpora at once."""
        matches, ngrams = totals[:, :ORDERS], totals[:, ORDERS : 2 * ORDERS]
        length, reference_length = totals[:, -2], totals[:, -1]
        exists = ngrams > 0
        # The k-th order without a match counts as 1/2^k of one: sacrebleu's `exp` smoothing.
        missed = exists & (matches == 0)
        smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=1), matches)
        logs = np.log(np.where(exists, smoothed, 1) / np.where(exists, ngrams, 1))
        precision = np.exp(logs.sum(axis=1) / np.maximum(exists.sum(axis=1), 1))
        nonempty = np.maximum(length, 1)
        brevity = np.exp(np.minimum(0.0, 1 - reference_length / nonempty))
        value = np.where(matches.sum(axis=1) > 0, precision * brevity, 0.0)
        both_empty: Floats = (length == 0) & (reference_length == 0)
        return np.where(both_empty, 1.0, value)


class Bleu(SacreBleuCounts):
    """BLEU over LaTeX tokens of the normal forms."""

    keys = ("bleu",)
    sacrebleu_tokenizer = "none"
    tokens, text = "latex", "normal"

    def texts(self, pair: Pair) -> tuple[str, str]:
        """Tokens separated by spaces; white space within a token becomes `␣`."""
        return _spaced(pair.gt_tokens), _spaced(pair.pred_tokens)


class Bleu13a(SacreBleuCounts):
    """BLEU as sacrebleu computes it by default, on the texts as given."""

    keys = ("bleu_13a",)
    sacrebleu_tokenizer = tokens = "13a"
    text = "raw"

    def texts(self, pair: Pair) -> tuple[str, str]:
        """The raw texts."""
        return comparable(pair.gt), comparable(pair.pred)


def _spaced(tokens: Sequence[str]) -> str:
    return " ".join("␣".join(token.split()) or "␣" for token in tokens)
