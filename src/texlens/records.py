"""The records that packages exchange: typed, plain, light to import."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["printed", "handwritten", "screen"]


def notebook_html(result: object) -> str:
    """The HTML by which a notebook shows a result. Only a notebook needs what makes it."""
    html: str = importlib.import_module("texlens.notebook").html(result)
    return html


@dataclass(frozen=True, slots=True)
class Example:
    """One picture of a formula with its LaTeX: a row of a prepared Parquet file.

    `image` is the encoded picture (PNG or JPEG bytes); `latex_formula` is in normal form.
    """

    id: str
    image: bytes
    latex_formula: str
    source: str = ""
    kind: Kind = "printed"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer of a recogniser and its reference: a line of a predictions file.

    `extra` has all other fields of the line.
    """

    id: str
    gt: str
    pred: str
    extra: dict[str, Any] = field(default_factory=dict)


WARNINGS = {
    "unfinished": "The answer was cut off at the model's length limit.",
    "loop": "The answer repeats itself without end.",
    "does_not_parse": "The answer is not valid LaTeX.",
    "no_formula": "The picture probably shows no formula.",
    "no_answer": "The model's output does not have the expected form.",
    "no_logprobs": "The model's server returned no probabilities.",
    "fault": "TexLens failed on this picture.",
}
"""The codes in `Reading.warnings`, each with a sentence for users."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reading with the natural logarithm of its probability."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of a picture, with the probability (0..1) that it is the right one."""

    latex: str
    normal: str
    probability: float


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """The reading of one picture.

    `latex` is compact, for people; `normal` is its normal form, for programs, predictions and
    scores; both draw the same. `confidence` is in 0..1. `warnings` holds codes of WARNINGS. `error` is a sentence when the
    picture could not be read at all; then `latex` and
    `normal` are empty and `confidence` is 0. `picture` is what was given to `read`, for a notebook.
    `prompt_tokens` is the number of text and visual tokens before the answer, 0 where it is not known.
    `alternatives` are there if they were asked for, the likeliest first.
    """

    path: str
    latex: str
    confidence: float
    tokens: tuple[Token, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    normal: str = ""
    picture: object = field(default=None, compare=False)
    prompt_tokens: int = 0
    alternatives: tuple[Alternative, ...] = ()

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Reading({self.error})"
        notes = "".join(f", {code}" for code in self.warnings)
        shown = self.latex if len(self.latex) <= 80 else f"{self.latex[:77]}..."
        return f"Reading({shown}, confidence {self.confidence:.2f}{notes})"

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def as_json(self) -> dict[str, Any]:
        """The reading as the JSON object that `texlens read --json` prints."""
        record: dict[str, Any] = {
            "path": self.path,
            "latex": self.latex,
            "normal": self.normal,
            "confidence": round(self.confidence, 4),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 4),
            "tokens": [{"text": t.text, "logprob": round(t.logprob, 4)} for t in self.tokens],
        }
        if self.alternatives:
            record["alternatives"] = [
                {"latex": a.latex, "normal": a.normal, "probability": round(a.probability, 4)}
                for a in self.alternatives
            ]
        if self.error is not None:
            record["error"] = self.error
        return record


def faulty(name: str, error: Exception) -> Reading:
    """The reading of a picture on which TexLens failed."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    sentence = f"TexLens failed on '{name}' ({reason}): please report it."
    return Reading(name, "", 0.0, warnings=("fault",), error=sentence)


def is_fault(reading: Reading) -> bool:
    """Whether there is no reading because of a fault of TexLens."""
    return "fault" in reading.warnings


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """One metric over many items; every value is in 0..1, distances too.

    `value` is the mean over the items whose reference could be rendered (all items, for metrics that
    render nothing); `value_lower` counts the others as 0. `items` has one value an item, None where the item
    does not count. `n_faults` items have none because of a fault of TexLens, and count nowhere. `ci` is the 95 % bootstrap interval over items; `signature` names all that
    changes the number. `value` is None where the metric cannot be computed (without TeX, say).
    """

    key: str
    value: float | None
    n: int
    n_truth_failed: int
    ci: tuple[float, float] | None
    signature: str
    items: tuple[float | None, ...] = ()
    value_lower: float | None = None
    n_faults: int = 0

    def __repr__(self) -> str:
        if self.value is None:
            return f"Score({self.key} no value)"
        interval = f" [{self.ci[0]:.4f}, {self.ci[1]:.4f}]" if self.ci else ""
        return f"Score({self.key} {self.value:.4f}{interval}, n={self.n})"

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def as_json(self) -> dict[str, Any]:
        """The entry of `metrics.json`, without the values of single items."""
        return {
            "value": self.value,
            "value_lower": self.value_lower,
            "n": self.n,
            "n_truth_failed": self.n_truth_failed,
            "n_faults": self.n_faults,
            "ci": list(self.ci) if self.ci is not None else None,
            "signature": self.signature,
        }
