r"""ROUGE-L: the longest common subsequence of truth and prediction, as an F1.

F1 of the share of the prediction's words and of the truth's words that stand in it (Lin 2004,
"ROUGE: A Package for Automatic Evaluation of Summaries"). Unit: 0..1.

- `rouge_l` is the published recipe: the rouge-score package with stemming, on the raw texts,
  lower-cased and stripped. It sees only letters and digits: `\frac{a}{b}` is `frac a b`, `+` is
  nothing, `\Alpha` is `\alpha`. The value is the package's to the last bit, except that equal
  texts always have 1, where the package gives 0 to a text without a letter or digit.
- `rouge_l_tokens` takes the LaTeX tokens of the normal forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from rapidfuzz.distance import LCSseq

from texlens.metrics.base import Drawings, ItemScore, Metric, Pair, comparable, sign


class RougeL(Metric):
    """ROUGE-L F1 as published: rouge-score's words, stemmed."""

    keys = ("rouge_l",)

    def signature(self, key: str) -> str:
        """How the text is prepared, and the versions of the packages that do it."""
        from importlib.metadata import version

        return sign(
            key, tok="rouge-score", stem="porter", case="lower", text="raw",
            rouge_score=version("rouge-score"), nltk=version("nltk"),
        )  # fmt: skip

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One F1 a pair."""
        return [ItemScore({"rouge_l": rouge_l(pair.gt, pair.pred)}) for pair in pairs]


class RougeLTokens(Metric):
    """ROUGE-L F1 over the LaTeX tokens of the normal forms."""

    keys = ("rouge_l_tokens",)

    def signature(self, key: str) -> str:
        """The tokens, and the version."""
        return sign(key, tok="latex", text="normal")

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One F1 a pair."""
        return [
            ItemScore(
                {
                    "rouge_l_tokens": 1.0
                    if pair.gt_tokens == pair.pred_tokens
                    else _f1(pair.gt_tokens, pair.pred_tokens)
                }
            )
            for pair in pairs
        ]


def rouge_l(truth: str, prediction: str) -> float:
    """The published ROUGE-L F1 of two raw texts, lower-cased and stripped here."""
    truth, prediction = (comparable(text).strip().lower() for text in (truth, prediction))
    if truth == prediction:
        return 1.0
    return _f1(*_words(truth, prediction))


def _f1(truth: Sequence[str], prediction: Sequence[str]) -> float:
    common = LCSseq.similarity(truth, prediction)
    if common == 0:
        return 0.0
    precision, recall = common / len(prediction), common / len(truth)
    return 2 * precision * recall / (precision + recall)


def _words(truth: str, prediction: str) -> tuple[list[str], list[str]]:
    """The words of both texts as rouge-score's `RougeScorer(use_stemmer=True)` compares them."""
    from rouge_score.tokenize import tokenize

    words: tuple[list[str], list[str]] = tokenize(truth, None), tokenize(prediction, None)
    if not _stemming_matters(words[0] + words[1]):
        return words
    stemmer = _stemmer()
    return tokenize(truth, stemmer), tokenize(prediction, stemmer)


def _stemming_matters(words: list[str]) -> bool:
    """Whether two different words could have one stem: loading the stemmer takes a second.

    Porter's rules and nltk's list of irregular words keep the first letter; rouge-score stems
    words of more than three letters.
    """
    by_initial: dict[str, set[str]] = {}
    for word in words:
        by_initial.setdefault(word[0], set()).add(word)
    return any(
        len(group) > 1 and any(len(word) > 3 for word in group) for group in by_initial.values()
    )


class _Stemmer:
    """nltk's Porter stemmer, which recurses once for every `y` in a row, spared endless words."""

    MAX_LETTERS = 200

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]

        self._porter = PorterStemmer()

    def stem(self, word: str) -> str:
        return word if len(word) > self.MAX_LETTERS else str(self._porter.stem(word))


@cache
def _stemmer() -> _Stemmer:
    return _Stemmer()
