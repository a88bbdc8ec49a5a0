r"""ROUGE-L: the longest common subsequence of reference and prediction, as an F1.

F1 of the shares of the prediction's words and of the reference's words that are in it (Lin 2004,
"ROUGE: A Package for Automatic Evaluation of Summaries"). Unit: 0..1.

- `rouge_l` is that of the GRPO report: the rouge-score package with stemming, on the raw texts,
  lower-cased and stripped. It compares only letters and digits: `\frac{a}{b}` is `frac a b`, `+` is
  nothing, `\Alpha` is `\alpha`. The value is the package's to the last bit, except that equal
  texts always have 1, where the package gives 0 to a text without a letter or digit.
- `rouge_l_tokens` takes the LaTeX tokens of the normal forms.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from rapidfuzz.distance import LCSseq

from texlens.metrics.base import Pair, PairMetric, comparable


class RougeL(PairMetric):
    """ROUGE-L F1 of the GRPO report: rouge-score's words, stemmed."""

    keys = ("rouge_l",)

    def parameters_of(self, key: str) -> dict[str, object]:
        """How the text is prepared, and the versions of the packages that do it."""
        from importlib.metadata import version

        return {
            "tok": "rouge-score", "stem": "porter", "case": "lower", "text": "raw",
            "rouge_score": version("rouge-score"), "nltk": version("nltk"),
        }  # fmt: skip

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The F1."""
        return {"rouge_l": rouge_l(pair.gt, pair.pred)}


class RougeLTokens(PairMetric):
    """ROUGE-L F1 over the LaTeX tokens of the normal forms."""

    keys = ("rouge_l_tokens",)
    parameters: ClassVar[dict[str, object]] = {"tok": "latex", "text": "normal"}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """The F1."""
        equal = pair.gt_tokens == pair.pred_tokens
        return {"rouge_l_tokens": 1.0 if equal else _f1(pair.gt_tokens, pair.pred_tokens)}


def rouge_l(reference: str, prediction: str) -> float:
    """The GRPO report's ROUGE-L F1 of two raw texts, lower-cased and stripped here."""
    reference, prediction = (comparable(text).strip().lower() for text in (reference, prediction))
    if reference == prediction:
        return 1.0
    return rouge_score_f1(reference, prediction)


def rouge_score_f1(reference: str, prediction: str) -> float:
    """What `RougeScorer(["rougeL"], use_stemmer=True)` gives; 0 for texts without letter or digit."""
    from rouge_score.tokenize import tokenize

    stemmer = _stemmer()
    return _f1(tokenize(reference, stemmer), tokenize(prediction, stemmer))


def _f1(reference: Sequence[str], prediction: Sequence[str]) -> float:
    common = LCSseq.similarity(reference, prediction)
    if common == 0:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    return 2 * precision * recall / (precision + recall)


class _Stemmer:
    """nltk's Porter stemmer for words that are not too long: it recurses once for every `y` in a row."""

    MAX_LETTERS = 200

    def __init__(self) -> None:
        self._porter = _import_porter().PorterStemmer()

    def stem(self, word: str) -> str:
        return word if len(word) > self.MAX_LETTERS else str(self._porter.stem(word))


_stemmer = cache(_Stemmer)
_importing = threading.Lock()


def _import_porter() -> ModuleType:
    """`nltk.stem.porter` without the rest of nltk, which takes 0.9 s and 90 MB a process.

    During the import, empty packages replace `nltk` and `nltk.stem`, for one thread at a time.
    """
    with _importing:
        package = find_spec("nltk")
        if "nltk" in sys.modules or package is None or not package.submodule_search_locations:
            return import_module("nltk.stem.porter")
        for name, below in (("nltk", ""), ("nltk.stem", "stem")):
            stand_in = ModuleType(name)
            stand_in.__path__ = [str(Path(p, below)) for p in package.submodule_search_locations]
            sys.modules[name] = stand_in
        try:
            return import_module("nltk.stem.porter")
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "nltk"]:
                del sys.modules[name]
