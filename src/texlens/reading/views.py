"""Reading a picture again (test-time augmentation): when, in which views, and which answer counts.

A low confidence may come from a wrong size of the picture, a loop from one wrong token. So doubtful
pictures are read again in other sizes and with a little temperature; with `--best-of N` all are.
The probability of each answer is then computed in every size near the picture's own, as an
ensemble of models would: an answer counts that is likely in all, not one that is sure in the size that
suggested it. How similar its rendering is to the picture decides between answers that are near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from PIL import Image

from texlens.reading.pictures.render_similarity import render_similarities
from texlens.records import Reading

# This, the sizes and the weight were chosen on the dev sets (200 photos, 352 each of print, screens and
# im2latex, 150 of chemistry): 13 more pictures right than by confidence and similarity, 4 fewer.
DOUBT = 0.96  # confidence below which a picture is read again
_SIZES = (1 / 1.2, 1.2, 1 / 1.4, 1.4, 1 / 1.1, 1.1)  # 1.4: where letters are read as scripts
_SIZES_IN_DOUBT = 4
_SCORED = 1.25  # answers are compared in sizes up to so many times larger or smaller
_TEMPERATURE = 0.5
_SIMILARITY_WEIGHT = 30.0  # nats of an answer's log-probability that a similarity of 1 is worth
_CUT = frozenset({"unfinished", "loop"})
_BROKEN = frozenset({"no_answer", "does_not_parse", "no_formula"})
_FAULTS = _CUT | _BROKEN


@dataclass(frozen=True, slots=True)
class View:
    """One way of showing a picture to the model, and of sampling the answer.

    `zoom`: the size of the picture relative to the size that its type asks for.
    """

    zoom: float = 1.0
    temperature: float = 0.0
    seed: int = 0


def further_views(reading: Reading, best_of: int, *, can_zoom: bool) -> list[View]:
    """The views that follow a first reading.

    With `best_of` > 1, `best_of` - 1 of them for every picture. Else four other sizes where the
    confidence is low, and also two sampled answers where the answer is faulty. `can_zoom` is False
    for a model without a frame.
    """
    sizes = [View(zoom) for zoom in _SIZES] if can_zoom else []
    sampled = (
        View(zoom, _TEMPERATURE, seed)
        for seed, zoom in enumerate(cycle([1.0, *(_SIZES if can_zoom else ())]))
    )
    if best_of > 1:
        count = best_of - 1
        return [*sizes[:count], *islice(sampled, max(0, count - len(sizes)))]
    in_doubt = sizes[:_SIZES_IN_DOUBT]
    if _FAULTS.intersection(reading.warnings):
        return [*in_doubt, *islice(sampled, 2)]
    return in_doubt if reading.confidence < DOUBT else []


def is_scored(zoom: float) -> bool:
    """Whether the probability of answers is computed in this size."""
    return 1 / _SCORED <= zoom <= _SCORED


def best(picture: Image.Image, readings: Sequence[Reading], likelihoods: Sequence[float]) -> int:
    """The index of the best reading of one picture (dark on white).

    An answer that parses comes before one that does not, and one that the model ended before one
    that was cut. Among these the highest sum of log-probability and weighted render similarity wins,
    among equal answers the surest.

    Args:
        picture: what was read.
        readings: the candidates.
        likelihoods: their mean log-probability over all views.
    """
    different = list(dict.fromkeys(reading.latex for reading in readings))
    similarity = dict.fromkeys(different, 0.0)
    if len(different) > 1:
        similarity = dict(zip(different, render_similarities(picture, different), strict=True))

    def rank(place: int) -> tuple[bool, bool, float, float]:
        reading = readings[place]
        return (
            not _BROKEN.intersection(reading.warnings),
            not _CUT.intersection(reading.warnings),
            likelihoods[place] + _SIMILARITY_WEIGHT * similarity[reading.latex],
            reading.confidence,
        )

    return max(range(len(readings)), key=rank)
