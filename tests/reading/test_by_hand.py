"""Print or hand: which of two models reads a picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from texlens.data.pictures.handwriting import handwrite
from texlens.data.pictures.ink import render_ink
from texlens.errors import InputError
from texlens.reading import Reader
from texlens.reading.by_hand import likelier, may_be_by_hand
from texlens.records import Reading
from texlens.render import Size, png_many

HANDWRITING = Path(__file__).parents[2] / "models" / "handwriting"


def reading(latex: str, confidence: float = 0.9, warnings: tuple[str, ...] = ()) -> Reading:
    return Reading("a.png", latex, confidence, warnings=warnings, normal=latex)


def test_only_what_the_first_model_doubts_is_read_again() -> None:
    assert may_be_by_hand(reading("x", 0.4))
    assert not may_be_by_hand(reading("x", 0.8))


def test_the_reading_by_hand_counts_unless_print_is_much_more_similar() -> None:
    (png,) = png_many([r"\frac{a+b}{c}"], Size(em_px=24))
    assert isinstance(png, bytes)
    picture = Image.open(io.BytesIO(png)).convert("L")
    right, wrong = reading(r"\frac{a+b}{c}"), reading("i")
    assert likelier(picture, right, wrong) is right
    assert likelier(picture, wrong, right) is right
    unsure = reading(r"\frac{a+b}{c}", 0.8)
    assert likelier(picture, wrong, unsure) is wrong
    assert likelier(picture, reading("", 0.0, ("no_formula",)), wrong) is wrong


def test_a_picture_is_read_by_the_model_that_can() -> None:
    reader = Reader(handwriting=HANDWRITING)
    (strokes,) = handwrite([r"\frac{x}{y}"], [np.random.default_rng(1)])
    assert not isinstance(strokes, str)
    written = Image.fromarray(render_ink(strokes))
    (png,) = png_many([r"\frac{a+b}{c}"], Size(em_px=24))
    printed, by_hand = reader.read_many([png, written])  # type: ignore[list-item]
    alone = Reader()
    assert printed.latex == alone.read(png).latex  # type: ignore[arg-type]
    assert by_hand.latex == Reader(HANDWRITING).read(written).latex != alone.read(written).latex
    assert reader.decoding_settings["handwriting"] == str(HANDWRITING)


def test_the_first_model_must_be_calibrated() -> None:
    with pytest.raises(InputError, match="calibrated"):
        Reader(HANDWRITING, handwriting=HANDWRITING)
