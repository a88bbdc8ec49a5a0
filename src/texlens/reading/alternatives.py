"""Other readings of a picture, with the probability of each: an n-best list.

The picture is read again in other sizes and with some temperature. Different answers are ordered by the
model's own probability of them. What the confidence of the first reading leaves is split among them by the
model's probabilities, times the share of cases in which one of them is right. The constants were chosen on
rows 6500 to 6750 of im2latex_train, so that the probabilities sum to the number of alternatives that are
right (`benchmarks/alternatives.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from texlens.reading.confidence import answer_features
from texlens.reading.views import View
from texlens.records import Alternative, Reading

MOST = 9
"""Alternatives that can be asked for."""

_FOUND = 0.4  # where the first reading is wrong by its confidence: one of the others is right
_FLATTENING = 2.0  # nats of the model that count as one: it is too sure of its own answers
_SIZES = (1.2, 1 / 1.2, 1.4)
_TEMPERATURE = 1.0
_LEFT_OUT = frozenset({"unfinished", "loop", "no_answer", "does_not_parse", "no_formula"})


def alternative_views(count: int, *, can_zoom: bool) -> list[View]:
    """The views in which a picture is read to find so many alternatives."""
    sizes = [View(zoom) for zoom in _SIZES] if can_zoom else []
    sampled = [View(1.0, _TEMPERATURE, seed) for seed in range(1, 2 * count + 2)]
    return sizes + sampled


def alternatives(
    first: Reading, candidates: Sequence[tuple[Reading, Reading]], count: int
) -> tuple[Alternative, ...]:
    """The likeliest readings that differ from the first one.

    Args:
        first: the reading, with its calibrated confidence.
        candidates: each as decoded, whose confidence is the geometric mean of its tokens'
            probabilities, and in both forms.
        count: how many are wanted.
    """
    surprises: dict[str, tuple[float, Reading]] = {}
    for raw, reading in candidates:
        if not reading.normal or reading.normal == first.normal or _LEFT_OUT & set(raw.warnings):
            continue
        surprise = math.exp(answer_features(raw)["log_surprise"])
        if surprise < surprises.get(reading.normal, (math.inf,))[0]:
            surprises[reading.normal] = surprise, reading
    ordered = sorted(surprises.values(), key=lambda entry: entry[0])
    if not ordered:
        return ()
    weights = [math.exp((ordered[0][0] - surprise) / _FLATTENING) for surprise, _ in ordered]
    left = (1 - first.confidence) * _FOUND / sum(weights)
    return tuple(
        Alternative(reading.latex, reading.normal, left * weight)
        for weight, (_, reading) in zip(weights[:count], ordered, strict=False)
    )
