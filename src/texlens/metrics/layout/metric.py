"""`layout` and `exprate_layout`: how much of a rendered formula is wrong to a human reader.

Our own metric. Both formulas are rendered, each rendering becomes a sequence of signs and marks of
structure (`sequence`), and the two sequences are aligned. The weighted differences (`alignment`)
are the mass of the errors, in symbols. The score is

    layout = exp(-mass * SEVERITY / (length / 20) ** RELIEF)

with `length` the mean length of the two sequences. It is 1 exactly when there is no difference,
about one half for a wrong symbol in a short formula, somewhat more in a long one. `exprate_layout`
is 1 where `layout` is 1, else 0.

It compares the rendered glyphs and their typefaces, scripts, stacked parts, the order of rows and
blocks, rules, lines, and what a careful reader sees of sizes, white space and columns. It ignores
everything that does not show in these: how commands are spelled, automatic equation numbers, and line
breaks. docs/metrics.md has the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from texlens.engine import Drawing, Failure
from texlens.latex import formula_of
from texlens.metrics.base import Drawings, ItemScore, Match, Metric, Pair, Side
from texlens.metrics.layout.alignment import Aligner, Costs, Errors, looks_the_same
from texlens.metrics.layout.items import Item
from texlens.metrics.layout.sequence import reading_sequence

SEVERITY = 0.5
RELIEF = 0.3
_OPERATORS = "sum prod coprod bigcap bigcup bigwedge bigvee bigodot bigoplus bigotimes".split()  # noqa: SIM905
_OPERATOR_COMMANDS = {
    ord(character): f"\\{name} " for character, name in zip("∑∏∐⋂⋃⋀⋁⨀⨁⨂", _OPERATORS, strict=True)
}

REVISION = 2
"""Increased with every change of the metric that changes a number."""


class Layout(Metric):
    """`layout` and `exprate_layout`, each 0..1, higher is better; the mean over items is the score.

    `costs`, `severity` (per symbol of error, in a sequence of 20) and `relief` (exponent of the
    length) are the metric's only parameters. The keys `layout` and `exprate_layout` have the defaults.
    """

    keys = ("layout", "exprate_layout")
    needs_drawing = True
    revision = REVISION

    def __init__(
        self, costs: Costs | None = None, severity: float = SEVERITY, relief: float = RELIEF
    ) -> None:
        self.aligner = Aligner(costs or Costs())
        self.severity = severity
        self.relief = relief

    def parameters_of(self, key: str) -> dict[str, object]:
        """Its own parameters where they are not the defaults, and the engine."""
        from texlens.engine import get_engine

        parameters: dict[str, object] = {"text": "formula"}
        if self.aligner.costs != Costs():
            parameters["costs"] = self.aligner.costs
        if (self.severity, self.relief) != (SEVERITY, RELIEF):
            parameters |= {"severity": self.severity, "relief": self.relief}
        return {**parameters, "engine": get_engine().signature}

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value of each key a pair."""
        references, predictions = self._draw(pairs, drawings)
        # Answers to one reference, as rewards have them, share its sequence.
        different = {id(drawing): drawing for drawing in references if isinstance(drawing, Drawing)}
        sequences = {key: reading_sequence(drawing) for key, drawing in different.items()}
        return [
            self._score(gt, sequences.get(id(gt), []), pred)
            for gt, pred in zip(references, predictions, strict=True)
        ]

    def explain(self, pair: Pair, drawings: Drawings) -> Match | None:
        """The boxes that show the same sign in the same way; None where one cannot be drawn."""
        (reference,), (prediction,) = self._draw([pair], drawings)
        if isinstance(reference, Failure) or isinstance(prediction, Failure):
            return None
        first, second = reading_sequence(reference), reading_sequence(prediction)
        partners = tuple(
            partner
            for i, j in self.aligner.compare(first, second).steps
            if i >= 0 and j >= 0 and looks_the_same(first[i], second[j])
            for partner in zip(first[i].boxes, second[j].boxes, strict=False)
        )
        return Match(
            _side(pair.gt, reference, {box for box, _ in partners}),
            _side(pair.pred, prediction, {box for _, box in partners}),
            partners,
        )

    def compare(self, first: Sequence[Item], second: Sequence[Item]) -> tuple[float, Errors]:
        """The score of two sequences, 0..1, and the errors behind it."""
        errors = self.aligner.compare(first, second)
        return self.value(errors, first, second), errors

    def value(self, errors: Errors, first: Sequence[Item], second: Sequence[Item]) -> float:
        """The score, 0..1, of these errors between these sequences."""
        if errors.mass == 0:
            return 1.0
        if not self.aligner.anything_kept(first, second, errors.steps):
            return 0.0
        length = (len(first) + len(second)) / 2
        return exp(-errors.mass * self.severity / (length / 20) ** self.relief)

    @staticmethod
    def _draw(
        pairs: Sequence[Pair], drawings: Drawings
    ) -> tuple[list[Drawing | Failure], list[Drawing | Failure]]:
        """The drawings of all references and of all predictions."""
        texts = [formula(text) for pair in pairs for text in (pair.gt, pair.pred)]
        drawn = drawings.draw(texts)
        return drawn[::2], drawn[1::2]

    def _score(
        self, reference: Drawing | Failure, sequence: Sequence[Item], prediction: Drawing | Failure
    ) -> ItemScore:
        if isinstance(reference, Failure):
            nothing = dict.fromkeys(self.keys)
            return ItemScore(nothing, (f"the reference cannot be drawn: {reference.message}",))
        warnings: tuple[str, ...] = ()
        if isinstance(prediction, Failure):
            value = 0.0
            warnings = (f"the prediction cannot be drawn: {prediction.message}",)
        else:
            value, _ = self.compare(sequence, reading_sequence(prediction))
        return ItemScore({"layout": value, "exprate_layout": float(value == 1)}, warnings)


def formula(text: str) -> str:
    """The formula in an answer as the engine is to draw it.

    Large operators typed as characters become commands, so that their limits are placed as those
    of commands.
    """
    text = formula_of(text)
    return text if text.isascii() else text.translate(_OPERATOR_COMMANDS)


def _side(text: str, drawing: Drawing, matched: set[int]) -> Side:
    return Side(
        formula(text), drawing.boxes, tuple(box in matched for box in range(len(drawing.boxes)))
    )
