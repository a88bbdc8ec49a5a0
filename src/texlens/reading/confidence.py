"""Calibrated confidence, and whether a picture shows a formula at all.

A model's own probabilities order its readings, but are not the share of readings that are right.
Two logistic regressions (Platt scaling, 1999) on a few features of the answer estimate it: the
probability that the reading renders as the picture's formula, and the probability that the picture
shows a formula that the model can read. An answer of sentences says that the picture shows text.
(Features of the picture, such as the density of its glyphs, added nothing on dev.) The coefficients
belong to one set of weights. They are stored beside them in `confidence.json` with a hash of the
weights, and are not used with other weights; `benchmarks/calibration.py` writes it (`regression.py`
beside it fits). Without that file the confidence is the geometric mean of the tokens' probabilities,
and `no_formula` is not predicted.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from texlens.errors import InputError
from texlens.inputs import read_text
from texlens.records import Reading
from texlens.runs import write_text

CONFIDENCE_FILE = "confidence.json"

_FAULTS = frozenset({"unfinished", "loop", "no_answer"})
_SENTENCE = re.compile(r"(?:[A-Za-z]{2,}[,.;:]?~+){2,}[A-Za-z]{2,}")
_TEXT = re.compile(r"(?<=\\text)(?:bf|it|rm|sc|sf|tt)? ?\{[^}]*")
_FLOOR = 1e-3  # nats; smaller surprises count as equal


class Regression(BaseModel):
    """A logistic regression: 1 / (1 + exp(-(intercept + weights . features)))."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: float
    weights: dict[str, float]

    def probability(self, features: Mapping[str, float]) -> float:
        """The probability (0..1) of the outcome that the regression was fitted to."""
        total = self.intercept + sum(w * features[name] for name, w in self.weights.items())
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, total))))


class Calibration(BaseModel):
    """The calibration of one set of weights.

    Attributes:
        right: the probability that a reading is right.
        formula: the probability that the picture shows a formula.
        formula_from: below this probability a reading gets the warning `no_formula`.
        fingerprint: the SHA-256 of the weights it was fitted to (`weights_sha256`).
        fitted_on: the data it was fitted to, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    right: Regression
    formula: Regression
    formula_from: float
    fingerprint: str = ""
    fitted_on: str

    def has_formula(self, reading: Reading) -> bool:
        """Whether the picture shows a formula.

        Here and in `probability_right` the reading's confidence must still be the geometric mean
        of its tokens' probabilities.
        """
        return self.formula.probability(answer_features(reading)) >= self.formula_from

    def probability_right(self, reading: Reading) -> float:
        """The probability that the reading renders as the picture's formula."""
        return self.right.probability(answer_features(reading))

    def save(self, folder: Path) -> None:
        """Write `confidence.json` into a model's folder, with the hash of the weights there."""
        tied = self.model_copy(update={"fingerprint": weights_sha256(folder)})
        write_text(folder / CONFIDENCE_FILE, tied.model_dump_json(indent=2) + "\n")


def load_calibration(folder: Path | None) -> Calibration | None:
    """The calibration in a model's folder, or None when it has none.

    One that was fitted to other weights gives a warning and None. Raises InputError when the file is
    damaged.
    """
    if folder is None or not (path := folder / CONFIDENCE_FILE).is_file():
        return None
    try:
        calibration = Calibration.model_validate_json(read_text(path))
    except ValidationError as error:
        raise InputError(f"'{path}' is not a calibration of a TexLens model.") from error
    if calibration.fingerprint != weights_sha256(folder):
        warnings.warn(
            f"'{path}' was fitted to other weights than those beside it: confidence is not calibrated. "
            "Fit it again, or delete it.",
            stacklevel=2,
        )
        return None
    return calibration


def with_formula_warning(reading: Reading, calibration: Calibration | None) -> Reading:
    """The reading, with the warning `no_formula` where the picture probably shows none."""
    if calibration is None or not reading.tokens or "no_formula" in reading.warnings:
        return reading
    if calibration.has_formula(reading):
        return reading
    return replace(reading, warnings=(*reading.warnings, "no_formula"))


def calibrated(reading: Reading, calibration: Calibration | None) -> Reading:
    """The reading with the probability of being right as its confidence."""
    if calibration is None or not reading.tokens:
        return reading
    no_formula = "no_formula" in reading.warnings
    confidence = 0.0 if no_formula else calibration.probability_right(reading)
    return replace(reading, confidence=confidence)


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of the `.safetensors` files in a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def answer_features(reading: Reading) -> dict[str, float]:
    """The surprise of the model at its own answer, in nats; the answer's length, faults and prose."""
    logprobs = [token.logprob for token in reading.tokens]
    count = len(logprobs) + ("unfinished" not in reading.warnings)
    surprise = -count * math.log(max(reading.confidence, 1e-9))
    worst = max([-logprob for logprob in logprobs] or [0.0])
    return {
        "log_surprise": math.log(surprise + _FLOOR),
        "log_worst": math.log(worst + _FLOOR),
        "log_tokens": math.log(1 + len(logprobs)),
        "faulty": float(bool(_FAULTS.intersection(reading.warnings))),
        "prose": _prose(reading.latex),
    }


def _prose(latex: str) -> float:
    """The part of an answer (0..1) that is sentences: three words or more in a row."""
    spaced = _TEXT.sub(lambda text: text[0].replace(" ", "~"), latex)  # there a space is a space
    written = spaced.replace(" ", "")
    return sum(map(len, _SENTENCE.findall(written))) / max(1, len(written))
