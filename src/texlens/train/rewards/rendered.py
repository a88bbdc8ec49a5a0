"""The rewards of the rendered formula: `cdm` and `layout` of the answer.

They are computed by the worker processes of `texlens.workers`, so that no formula, and no bug in any
library, can stop a training run. What may be rendered is decided by counts, so that a reward does not
depend on the machine or on what else it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from texlens.engine.limits import nesting
from texlens.latex import check
from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.cdm.metric import Cdm
from texlens.metrics.layout.metric import Layout
from texlens.train.rewards.jobs import FAULT, score_in_workers

# Longer formulas are not rendered. The longest of im2latex's 7,000 has 485 characters; a longer answer
# is almost always a loop.
MAX_RENDERED_CHARACTERS = 2_000
MAX_RENDERED_DEPTH = 40  # as `engine.limits.nesting` counts; im2latex has 7

_PAIRS_A_JOB = 16

# Rendered before the first answer, so that V8 has compiled what it will need.
_WARM_UP = (
    r"\frac { a } { b } + x _ { 1 } ^ { 2 } = \sum _ { i = 1 } ^ { n } \sqrt { y _ { i } }",
    r"\left( \begin{array} { c c } { \alpha } & { 0 } \\ { 0 } & { \bar { \beta } } \end{array} \right)",
    r"\int _ { 0 } ^ { \infty } \mathrm { e } ^ { - \lambda t } \, d t \leq \lim _ { k \to 0 } f ( k )",
)
_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Rendered:
    """The scores of one answer: whether KaTeX parses it, and `cdm` and `layout`, 0..1, else 0.

    `error` is the reason of values that are 0 or may be too low: a sentence, which begins with
    "fault" where it is a fault of ours.
    """

    valid: bool = False
    cdm: float = 0.0
    layout: float = 0.0
    error: str | None = None


class Renderer:
    """Renders references and answers with the engine of this process and compares them."""

    def __init__(self) -> None:
        self._metrics = (Cdm(), Layout())
        self._drawings = DrawingStore(on_disk=False)

    def warm_up(self) -> None:
        """Render and compare a few formulas, so that the first answer takes no longer than others."""
        for turn in range(_WARM_UP_ROUNDS):
            for formula in _WARM_UP:
                self.score(formula, [f"{formula} + {turn}"])

    def score(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """Compare answers with their reference; math delimiters are removed. One result per answer."""
        if error := too_large("reference", reference):
            return [Rendered(found.katex, error=error) for found in check(answers)]
        scores: dict[str, Rendered] = {}
        for answer in answers:
            if error := too_large("answer", answer):
                scores[answer] = Rendered(error=error)
        small = [answer for answer in answers if answer not in scores]
        for answer, found in zip(small, check(small), strict=True):
            if not found.katex:
                scores[answer] = Rendered(error=f"does not parse: {found.message}")
        valid = [answer for answer in small if answer not in scores]
        scores |= zip(valid, self._compare(reference, valid), strict=True)
        return [scores[answer] for answer in answers]

    def _compare(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        # Both metrics use the raw texts alone.
        pairs = [Pair("", reference, answer, "", "", (), ()) for answer in answers]
        both = [m.score_items(pairs, self._drawings) for m in self._metrics]
        return [
            Rendered(
                True,
                cdm.values["cdm"] or 0.0,
                layout.values["layout"] or 0.0,
                "; ".join((*cdm.warnings, *layout.warnings)) or None,
            )
            for cdm, layout in zip(*both, strict=True)
        ]


def too_large(name: str, formula: str) -> str | None:
    """Why a formula (of this name in the message) is not rendered; None for one that is small enough."""
    if len(formula) > MAX_RENDERED_CHARACTERS:
        return f"the {name} has {len(formula)} characters, too many to render"
    if (depth := nesting(formula)) > MAX_RENDERED_DEPTH:
        return f"the {name} is nested {depth} deep, too deep to render"
    return None


def score_rendered(pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
    """The scores of each pair of reference and answer, in order. Never raises.

    Equal pairs are compared once. The pairs are shared among worker processes.
    """
    different = sorted(set(pairs))  # answers to one reference together
    scores = score_in_workers(
        _scorer, different, lambda reason: Rendered(error=reason), pairs_a_job=_PAIRS_A_JOB
    )
    return [scores[pair] for pair in pairs]


def _scorer() -> Callable[[Sequence[tuple[str, str]]], list[Rendered]]:
    """In a worker: what scores pairs, of which those with one reference are together."""
    renderer = Renderer()
    renderer.warm_up()

    def score(pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
        return [
            rendered
            for reference, group in groupby(pairs, itemgetter(0))
            for rendered in _score(renderer, reference, [answer for _, answer in group])
        ]

    return score


def _score(renderer: Renderer, reference: str, answers: list[str]) -> list[Rendered]:
    """The scores of answers; one on which a metric fails gets 0 alone."""
    try:
        return renderer.score(reference, answers)
    except Exception as error:  # no answer may end a run
        if len(answers) == 1:
            return [Rendered(error=f"{FAULT}: {type(error).__name__}: {error}"[:300])]
        return [_score(renderer, reference, [answer])[0] for answer in answers]
