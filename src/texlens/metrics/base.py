"""The interface of a metric: pairs in, one value per item out, and a signature.

A metric is a subclass of `Metric`. One pass may give several keys, as one matching gives both
`cdm` and `exprate_cdm`. A metric keeps no state between calls, so that neither the order of the
pairs nor the number of workers can change a value. Only `Drawings` has a cache, and a cached
drawing equals a new one.

Signatures, the separation of a metric from its corpus statistics, and bootstrap intervals follow
the example of sacrebleu (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from texlens import __version__
from texlens.engine.limits import LIMITS_REVISION

if TYPE_CHECKING:
    from texlens.engine import Box, Drawing, Failure

Floats = NDArray[np.float64]
MEAN_OF_RATIOS = "mean-of-ratios"
"""Averaging in which a short formula counts as much as a long one."""
CdmEngine = Literal["mathjax", "tex"]

# Longer texts are no formulas; comparing two of them could take minutes.
# A change needs a new `engine.LIMITS_REVISION`.
MAX_COMPARED_CHARS = 50_000


def comparable(text: str) -> str:
    """The text itself; for one that is too long, four private-use characters of its hash.

    So an endless answer equals itself and has nothing in common with any other text.
    """
    if len(text) <= MAX_COMPARED_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()
    numbers = (int.from_bytes(digest[i : i + 2], "big") for i in range(0, 8, 2))
    return "".join(chr(0x100000 + number % 0xFFFE) for number in numbers)


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference and a prediction, with the forms that several metrics use.

    `gt` and `pred` are the texts as given, of any length; `gt_normal` and `pred_normal` their normal forms
    (`texlens.latex.normalize`, wrappers such as `$...$` removed); `gt_tokens` and `pred_tokens`
    the LaTeX tokens of the normal forms, both `comparable`. `extra` holds the further fields of the item's line.
    """

    id: str
    gt: str
    pred: str
    gt_normal: str
    pred_normal: str
    gt_tokens: tuple[str, ...]
    pred_tokens: tuple[str, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, gt: str, pred: str, *, id: str = "", extra: Mapping[str, Any] | None = None
    ) -> Pair:
        """The pair of two texts, brought to normal form and split into tokens here."""
        gt_normal, gt_tokens = _normal(gt)
        pred_normal, pred_tokens = _normal(pred)
        return cls(id, gt, pred, gt_normal, pred_normal, gt_tokens, pred_tokens, extra or {})


def _normal(text: str) -> tuple[str, tuple[str, ...]]:
    from texlens.latex import normalize, tokenize

    if (stand_in := comparable(text)) != text:
        return stand_in, tuple(stand_in)
    normal = normalize(text)
    return normal, tuple(tokenize(normal))


class Drawings(Protocol):
    """Draws formulas and may cache the drawings: `metrics.cache.DrawingStore`."""

    @property
    def signature(self) -> str:
        """The engine, its versions and its settings."""
        ...

    def draw(self, formulas: Sequence[str]) -> list[Drawing | Failure]:
        """The glyph boxes of each formula in display style, or why it cannot be drawn.

        Raises EngineFault where that is not known: the pair then has a fault, and no value.
        """
        ...


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The result of one metric for one pair.

    `values` has one number in 0..1 for every key of the metric, or None where the item does not
    count because its reference cannot be drawn. `warnings` are sentences for `items.jsonl`.
    `statistics` are the sums that a corpus-level key is made of (see `CorpusMetric`).
    """

    values: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()
    statistics: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One formula of a matching, as it was drawn: its boxes in em, and whether each was matched."""

    formula: str
    boxes: tuple[Box, ...]
    matched: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """How a metric matched two drawings: what `--explain` paints green and red.

    `partners` are pairs of indices into the boxes of reference and prediction.
    """

    reference: Side
    prediction: Side
    partners: tuple[tuple[int, int], ...] = ()


class Metric(ABC):
    """One way to score pairs.

    `keys` are the keys it fills; `needs_drawing` whether it draws formulas; `lower_is_better`
    whether 0 is perfect (distances, and faults such as `empty`); `judges_prediction_alone`
    whether the reference does not matter, so that a reference need not be perfect against itself.
    `revision` is increased with every change that changes a number, `averaging` is how the values of
    items become that of a corpus, `parameters` are the others of the signature.
    Metrics are built in every worker from their class, so an instance need not be picklable.
    """

    keys: ClassVar[tuple[str, ...]]
    needs_drawing: ClassVar[bool] = False
    lower_is_better: ClassVar[bool] = False
    judges_prediction_alone: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    averaging: ClassVar[str] = "mean"
    parameters: ClassVar[Mapping[str, object]] = {}

    def signature(self, key: str) -> str:
        """Everything that can change the number, in sacrebleu's style.

        `key|revision:N|parameter:value|...|avg:HOW|limits:N|version:TEXLENS`. The form of the text that
        the metric takes has a revision of its own (`normal.N`, `formula.N`), and so have the limits of
        what a formula may cost.
        """
        parts = {"revision": self.revision, **self.parameters_of(key), "avg": self.averaging}
        if "text" in parts:
            parts["text"] = _form(str(parts["text"]))
        return "|".join([key, *(f"{name}:{value}" for name, value in parts.items()), _ENDING])

    def parameters_of(self, key: str) -> Mapping[str, object]:
        """The parameters of one key: choices, and the versions of the software that computes it."""
        return self.parameters

    @abstractmethod
    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One `ItemScore` a pair, in order.

        The score of a pair depends on nothing else. No text in a pair should raise an error (one
        that does gives its pair no value, see `batches`): a prediction that cannot be scored gets the worst value, a reference that cannot be drawn gets
        None, and both get a warning.
        """

    def unavailable(self) -> str | None:
        """Why the metric cannot be computed on this machine; None where it can."""
        return None

    def explain(self, pair: Pair, drawings: Drawings) -> Match | None:
        """The ink of the two drawings that the metric matched; None where it draws none."""
        return None


class PairMetric(Metric):
    """A metric that needs only the texts of a pair."""

    @abstractmethod
    def values(self, pair: Pair) -> dict[str, float | None]:
        """The value of every key."""

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """The values of each pair."""
        return [ItemScore(self.values(pair)) for pair in pairs]


class CorpusMetric(Metric):
    """A metric whose value over a corpus is not the mean over items, such as BLEU.

    It has one key; every `ItemScore` carries the statistics of the pair, which add up.
    """

    averaging = "corpus"

    @abstractmethod
    def from_totals(self, totals: Floats) -> Floats:
        """Values, shape (corpora,), from summed statistics, shape (corpora, statistics)."""


_ENDING = f"limits:{LIMITS_REVISION}|version:{__version__}"


def _form(text: str) -> str:
    """The name of a form of text with its revision, where it has one."""
    from texlens.latex import formula, normal

    revisions = {"normal": normal.REVISION, "formula": formula.REVISION}
    return f"{text}.{revisions[text]}" if text in revisions else text
