"""How sure a reading is, as a chance that can be believed, and whether there is a formula at all.

A model's own probabilities say which reading is surer than another, not how often such readings
are right. Two logistic regressions (Platt, 1999) on a few numbers about an answer say that: the
chance that the reading draws the picture's formula, and the chance that the picture shows a formula
which the model can read. (Numbers about the picture, such as how densely its glyphs stand, added
nothing on dev.) Their coefficients belong to one set of weights and lie beside them in
`confidence.json`, which `benchmarks/calibration.py` writes. A model without that file reports the
geometric mean of its tokens' probabilities and has no opinion on formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from texlens.errors import InputError
from texlens.records import Reading
from texlens.runs import write_text

CONFIDENCE_FILE = "confidence.json"

_FAULTS = frozenset({"unfinished", "loop", "no_answer"})
_FLOOR = 1e-3  # nats below which two answers are equally sure


class Regression(BaseModel):
    """A logistic regression: the chance is 1 / (1 + exp(-(intercept + weights . features)))."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: float
    weights: dict[str, float]

    def chance(self, features: Mapping[str, float]) -> float:
        """The chance (0..1) of what the regression was fitted to."""
        total = self.intercept + sum(w * features[name] for name, w in self.weights.items())
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, total))))

    @classmethod
    def fit(
        cls,
        features: Sequence[Mapping[str, float]],
        outcomes: Sequence[bool],
        penalty: float = 1.0,
    ) -> Regression:
        """Maximum likelihood by Newton's method.

        `penalty` holds the weights of the standardised features to 0, as strongly as so many
        examples would.
        """
        names = list(features[0])
        table = np.array([[row[name] for name in names] for row in features], dtype=np.float64)
        means, spreads = table.mean(axis=0), table.std(axis=0) + 1e-9
        inputs = np.column_stack([np.ones(len(table)), (table - means) / spreads])
        reference = np.asarray(outcomes, dtype=np.float64)
        ridge = np.diag([1e-6] + [penalty] * len(names))
        weights = np.zeros(len(names) + 1)
        for _ in range(100):
            chances = 1.0 / (1.0 + np.exp(-np.clip(inputs @ weights, -500, 500)))
            gradient = inputs.T @ (reference - chances) - ridge @ weights
            curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + ridge
            step = np.linalg.solve(curvature, gradient)
            weights += step
            if float(np.abs(step).max()) < 1e-8:
                break
        scaled = weights[1:] / spreads
        return cls(
            intercept=float(weights[0] - scaled @ means),
            weights={name: float(weight) for name, weight in zip(names, scaled, strict=True)},
        )


class Calibration(BaseModel):
    """What is known about one set of weights.

    `right` and `formula` are the regressions; below `formula_from` a picture gets the warning
    `no_formula`. `fingerprint` is the hash of the `model.safetensors` it was fitted to, `fitted_on`
    says on what.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    right: Regression
    formula: Regression
    formula_from: float
    fingerprint: str
    fitted_on: str

    def has_formula(self, reading: Reading) -> bool:
        """Whether the picture shows a formula.

        As in `chance_right`, the reading's confidence must be the geometric mean of its tokens'
        probabilities.
        """
        return self.formula.chance(answer_features(reading)) >= self.formula_from

    def chance_right(self, reading: Reading) -> float:
        """The chance that the reading draws what a formula's picture shows."""
        return self.right.chance(answer_features(reading))

    def save(self, folder: Path) -> None:
        """Write `confidence.json` into a model's folder."""
        write_text(folder / CONFIDENCE_FILE, self.model_dump_json(indent=2) + "\n")


def load_calibration(folder: Path | None) -> Calibration | None:
    """The calibration in a model's folder, or None when it has none.

    Raises InputError when the file is there but damaged.
    """
    if folder is None or not (path := folder / CONFIDENCE_FILE).is_file():
        return None
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a calibration of a TexLens model.") from error


def answer_features(reading: Reading) -> dict[str, float]:
    """How surprised the model was by its own answer, in nats; the answer's length and faults."""
    logprobs = [token.logprob for token in reading.tokens]
    count = len(logprobs) + ("unfinished" not in reading.warnings)
    surprise = -count * math.log(max(reading.confidence, 1e-9))
    worst = max([-logprob for logprob in logprobs] or [0.0])
    return {
        "log_surprise": math.log(surprise + _FLOOR),
        "log_worst": math.log(worst + _FLOOR),
        "log_tokens": math.log(1 + len(logprobs)),
        "faulty": float(bool(_FAULTS.intersection(reading.warnings))),
    }
