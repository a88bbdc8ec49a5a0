"""The reward `picture`: an answer, drawn by TeX, compared with the picture itself; no reference.

The answer is typeset in Computer Modern. It is drawn with all pixels black that its ink touches, as im2latex's
pictures are, and antialiased; the drawing that fits better is matched with the picture piece by piece
(`matching`). A logistic regression on the features gives the
probability that the answer is right; `picture.json` has its coefficients, which `benchmarks/picture_reward.py`
fitted and judged. Worth 0, with the reason on record: a picture without ink, an answer that does not parse, is
too long or too deep, shows nothing or is too large to match, one on which a process ends or hangs, and a value
that is not a number.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from texlens.images import encode_png
from texlens.latex import check
from texlens.train.rewards.jobs import score_in_workers
from texlens.train.rewards.rendered import too_large

DPI = 200
DRAWN_EM = DPI / 72.27 * 10  # pixels an em of the drawing
_TOUCHED = 0.02  # ink of a pixel, from which it is black
CLIP = (-4.0, 12.0)
"""Bounds of a feature, in spreads."""
_SCALES = (0.7, 1.43)  # the width may correct the estimated size of the type by so much
_MOST_SEEN_PIXELS = 4_000_000
_PAIRS_A_JOB = 32  # one run of TeX


class Matched(NamedTuple):
    """The value of an answer, 0..1, and why it is 0 or may be too low."""

    value: float = 0.0
    error: str | None = None


class Model(NamedTuple):
    """A logistic regression on `matching.FEATURES`: of (x - mean) / spread, clipped.

    No weight is positive: more of a mismatch never makes an answer better. Without this bound an answer
    of one symbol to any picture was worth 0.98, since the answers that were fitted are all nearly right.
    """

    mean: np.ndarray[Any, Any]
    spread: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]
    bias: float

    def probability(self, features: Sequence[float]) -> float:
        """The probability that an answer with these features is right."""
        x = np.clip((np.asarray(features) - self.mean) / self.spread, *CLIP)
        return 1 / (1 + math.exp(-(float(x @ self.weights) + self.bias)))


@lru_cache(maxsize=1)
def shipped_model() -> Model:
    """The model of `picture.json`."""
    text = (resources.files("texlens.train.rewards") / "picture.json").read_text(encoding="utf-8")
    found = json.loads(text)
    mean, spread, weights = (np.array(found[name]) for name in ("mean", "spread", "weights"))
    return Model(mean, spread, weights, found["bias"])


def score_pictures(pairs: Sequence[tuple[Any, str]]) -> list[Matched]:
    """The value of each pair of a picture (a file's bytes, or a Pillow image) and an answer. Never raises.

    Equal pairs are compared once. The pairs are shared among worker processes.
    """
    contents: dict[int, bytes] = {}
    encoded = []
    for picture, answer in pairs:
        if id(picture) not in contents:
            contents[id(picture)] = picture if isinstance(picture, bytes) else _encoded(picture)
        encoded.append((contents[id(picture)], answer))
    values = score_in_workers(
        _scorer,
        list(dict.fromkeys(encoded)),
        lambda reason: Matched(error=reason),
        pairs_a_job=_PAIRS_A_JOB,
    )
    return [values[pair] for pair in encoded]


def _encoded(picture: Any) -> bytes:
    try:
        return encode_png(picture.convert("L"), compress_level=1)
    except Exception:  # no picture: the worker finds nothing to open
        return b""


def _scorer() -> Callable[[Sequence[tuple[bytes, str]]], list[Matched]]:
    """In a worker: what scores pairs of a picture and an answer."""
    model = shipped_model()

    def score(pairs: Sequence[tuple[bytes, str]]) -> list[Matched]:
        return [
            features if isinstance(features, Matched) else _matched(model.probability(features))
            for features in pair_features(pairs)
        ]

    return score


def _matched(value: float) -> Matched:
    return Matched(value) if math.isfinite(value) else Matched(error="the value is not a number")


def pair_features(pairs: Sequence[tuple[bytes, str]]) -> list[list[float] | Matched]:
    """The features of each pair, or why it is worth 0. In a worker process: draws with TeX."""
    from texlens.engine import Failure
    from texlens.render.tex import render_tex

    found: list[list[float] | Matched | None] = []
    for (_, answer), parsed in zip(pairs, check([answer for _, answer in pairs]), strict=True):
        error = too_large("answer", answer)
        if error is None and not parsed.katex:
            error = f"does not parse: {parsed.message}"
        found.append(None if error is None else Matched(error=error))
    drawable = [place for place, error in enumerate(found) if error is None]
    drawings = render_tex([pairs[place][1] for place in drawable], dpi=DPI)
    for place, drawing in zip(drawable, drawings, strict=True):
        found[place] = (
            Matched(error=f"TeX does not draw it: {drawing.message}")
            if isinstance(drawing, Failure)
            else _compared(pairs[place][0], drawing)
        )
    return [features for features in found if features is not None]


def _compared(picture: bytes, drawing: np.ndarray[Any, Any]) -> list[float] | Matched:
    """The features of a picture and a drawing (grey values, 255 the ground)."""
    from PIL import Image

    from texlens.reading.pictures.type_size import type_size
    from texlens.train.rewards.matching import FEATURES, cropped, features, scaled

    try:
        with Image.open(io.BytesIO(picture)) as opened:
            if opened.width * opened.height > _MOST_SEEN_PIXELS:
                return Matched(error="the picture is too large")
            grey = np.asarray(opened.convert("L"), dtype=np.float32)
    except Exception:
        return Matched(error="the picture cannot be opened")
    darkest = 1 - grey.min() / 255
    ink = None if darkest < 0.2 else cropped(np.asarray(1 - grey / 255, dtype=np.float32))
    em = type_size(grey)
    if ink is None or em is None:
        return Matched(error="the picture has no ink")
    drawn = cropped(np.asarray(drawing < 255 * (1 - _TOUCHED), dtype=np.float32))
    if drawn is None:
        return Matched(error="the answer shows nothing")
    estimated = DRAWN_EM / em
    by_width = drawn.shape[1] / ink.shape[1]
    fits = _SCALES[0] < by_width / estimated < _SCALES[1]
    seen = cropped(scaled(ink, by_width if fits else estimated))
    thin = cropped(np.asarray(1 - drawing / 255, dtype=np.float32))
    matches = [
        features(seen, weight, DRAWN_EM)
        for weight in (drawn, thin)
        if seen is not None and weight is not None
    ]
    found = [match for match in matches if match is not None and np.isfinite(match).all()]
    if not found:
        return Matched(
            error="picture and drawing are too different in size, or too large, to match"
        )
    return min(found, key=lambda match: match[FEATURES.index("left_over")])
