"""What a metric is: pairs in, one value an item out, and a signature of all that changes it.

A metric is a subclass of `Metric`. One pass may give several keys, as one matching gives both
`cdm` and `exprate_cdm`. A metric keeps no state between calls, so that neither the order of the
pairs nor the number of workers can change a value; `Drawings` is the one thing that remembers,
and it returns what drawing afresh would return.

Signatures, the separation of a metric from its corpus statistics, and bootstrap intervals follow
the example of sacrebleu (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from texlens import __version__

if TYPE_CHECKING:
    from texlens.engine import Box, Drawing, Failure

Floats = NDArray[np.float64]

# Longer texts are no readings of a picture; comparing two of them could take minutes.
MAX_COMPARED_CHARS = 50_000


def comparable(text: str) -> str:
    """The text itself; a text too long to be compared as one private-use character of its own.

    So an endless answer equals itself and has nothing in common with anything else.
    """
    if len(text) <= MAX_COMPARED_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()
    return chr(0x100000 + int.from_bytes(digest[:8], "big") % 0xFFFE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A truth and a prediction, with what every metric would otherwise compute again.

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
        from texlens.latex import normalize, tokenize

        gt_normal, pred_normal = normalize(comparable(gt)), normalize(comparable(pred))
        return cls(
            id,
            gt,
            pred,
            gt_normal,
            pred_normal,
            tuple(tokenize(gt_normal)),
            tuple(tokenize(pred_normal)),
            extra or {},
        )


class Drawings(Protocol):
    """Something that draws formulas and may remember them: `metrics.cache.DrawingStore`.

    `signature` names the engine, its versions and its settings.
    """

    signature: str

    def draw(self, formulas: Sequence[str]) -> list[Drawing | Failure]:
        """The glyph boxes of each formula in display style, or why it cannot be drawn."""
        ...


@dataclass(frozen=True, slots=True)
class ItemScore:
    """What one metric says of one pair.

    `values` has one number in 0..1 for every key of the metric, or None where the item does not
    count because its truth cannot be drawn. `warnings` are sentences for `items.jsonl`.
    `statistics` are the sums that a corpus-level key is made of (see `CorpusMetric`).
    """

    values: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()
    statistics: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """The ink of one formula of a matching: boxes in em (`engine.Box`), and which were matched."""

    boxes: tuple[Box, ...]
    matched: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """How a metric laid two drawings side by side: what `--explain` paints green and red.

    `partners` are pairs of indices into the boxes of truth and prediction.
    """

    truth: Side
    prediction: Side
    partners: tuple[tuple[int, int], ...] = ()


class Metric(ABC):
    """One way to score pairs.

    `keys` are the keys it fills; `needs_drawing` whether it draws formulas; `lower_is_better`
    whether 0 is perfect (distances, and faults such as `empty`); `judges_prediction_alone`
    whether the truth does not matter, so that a truth need not be perfect against itself.
    Metrics are built in every worker from their class, so an instance need not be picklable.
    """

    keys: ClassVar[tuple[str, ...]]
    needs_drawing: ClassVar[bool] = False
    lower_is_better: ClassVar[bool] = False
    judges_prediction_alone: ClassVar[bool] = False

    @abstractmethod
    def signature(self, key: str) -> str:
        """All that changes the number, as made by `sign`."""

    @abstractmethod
    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One `ItemScore` a pair, in order.

        A pair's score may depend on nothing but the pair. Nothing is raised for what stands in a
        pair: a prediction that cannot be scored gets the worst value, a truth that cannot be drawn
        gets None, and both get a warning.
        """

    def unavailable(self) -> str | None:
        """Why the metric cannot be computed on this machine; None where it can."""
        return None

    def explain(self, pair: Pair, drawings: Drawings) -> Match | None:
        """Which ink of the two drawings the metric took as the same; None where it draws none."""
        return None


class CorpusMetric(Metric):
    """A metric whose value over a corpus is no mean of items, such as BLEU.

    It has one key; every `ItemScore` carries the statistics of the pair, which add up.
    """

    @abstractmethod
    def from_totals(self, totals: Floats) -> Floats:
        """Values, shape (corpora,), from summed statistics, shape (corpora, statistics)."""


def sign(key: str, **parameters: object) -> str:
    """A signature in sacrebleu's style: `key|parameter:value|...|version:TEXLENS`."""
    parts = [f"{name}:{value}" for name, value in parameters.items()]
    return "|".join([key, *parts, f"version:{__version__}"])


BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 12345
BOOTSTRAP_SIGNATURE = f"bs:{BOOTSTRAP_RESAMPLES}|seed:{BOOTSTRAP_SEED}"
_COUNTS_AT_ONCE = 4_000_000  # cells of the resampling matrix in memory at a time: 32 MB


def resampled_totals(statistics: Floats) -> Floats:
    """Sums over bootstrap resamples of items: shape (BOOTSTRAP_RESAMPLES, statistics).

    `statistics` has shape (items, statistics). A resample draws as many items as there are, with
    replacement (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation").
    """
    n, width = statistics.shape
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    totals = np.empty((BOOTSTRAP_RESAMPLES, width))
    rows = max(1, min(BOOTSTRAP_RESAMPLES, _COUNTS_AT_ONCE // n))
    for start in range(0, BOOTSTRAP_RESAMPLES, rows):
        size = min(rows, BOOTSTRAP_RESAMPLES - start)
        drawn = rng.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        totals[start : start + size] = counts @ statistics
    return totals


def interval(values: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap values."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
