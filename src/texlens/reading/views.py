"""Looking at a picture again: when, how, and which of the answers counts.

A picture that was read with doubt may have been read in a wrong size; an answer that ran in a
circle may have taken one wrong turn. So doubtful pictures are read again in other sizes and with a
little temperature, and with `--best-of N` all are. Each answer is drawn anew and compared with the
picture: the model's confidence and the similarity decide together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from PIL import Image

from texlens.reading.pictures.render_similarity import render_similarities
from texlens.records import Reading

# Chosen on rows 6500 to 6900 of im2latex_train: one picture in fourteen is doubtful, and of these
# three times as many are right after a second look; any weight from 0.3 to 2 chooses as well.
DOUBT = 0.95  # confidence below which a picture is read again
_SIZES = (1 / 1.2, 1.2, 1 / 1.4, 1.4, 1 / 1.1, 1.1)  # 1.4: as when letters are taken for scripts
_SIZES_IN_DOUBT = 4
_TEMPERATURE = 0.5
_SIMILARITY_WEIGHT = 1.0  # nats of a token's mean log-probability that a similarity of 1 is worth
_CUT = frozenset({"unfinished", "loop"})
_BROKEN = frozenset({"no_answer", "does_not_parse", "no_formula"})
_FAULTS = _CUT | _BROKEN


@dataclass(frozen=True, slots=True)
class View:
    """One way of reading a picture: `zoom` times as large as its type asks for, and how boldly."""

    zoom: float = 1.0
    temperature: float = 0.0
    seed: int = 0


def further_views(reading: Reading, best_of: int, *, can_zoom: bool) -> list[View]:
    """The looks that should follow a first reading.

    `best_of` - 1 of them for whatever picture; when that is none, the other sizes for one read with
    doubt and two drawn answers for a faulty one. A model without a frame cannot zoom.
    """
    sizes = [View(zoom) for zoom in _SIZES] if can_zoom else []
    drawn = (
        View(zoom, _TEMPERATURE, seed)
        for seed, zoom in enumerate(cycle([1.0, *(_SIZES if can_zoom else ())]))
    )
    if best_of > 1:
        count = best_of - 1
        return [*sizes[:count], *islice(drawn, max(0, count - len(sizes)))]
    in_doubt = sizes[:_SIZES_IN_DOUBT]
    if _FAULTS.intersection(reading.warnings):
        return [*in_doubt, *islice(drawn, 2)]
    return in_doubt if reading.confidence < DOUBT else []


def best(picture: Image.Image, readings: Sequence[Reading]) -> int:
    """Which reading of one picture counts.

    What parses before what does not, what ended by itself before what was cut; among equals the
    highest of the mean log-probability of the tokens plus similarity to the picture (dark on white).
    """
    different = list(dict.fromkeys(reading.latex for reading in readings))
    similarity = dict.fromkeys(different, 0.0)
    if len(different) > 1:
        similarity = dict(zip(different, render_similarities(picture, different), strict=True))

    def rank(place: int) -> tuple[bool, bool, float]:
        reading = readings[place]
        return (
            not _BROKEN.intersection(reading.warnings),
            not _CUT.intersection(reading.warnings),
            math.log(max(reading.confidence, 1e-9))
            + _SIMILARITY_WEIGHT * similarity[reading.latex],
        )

    return max(range(len(readings)), key=rank)
