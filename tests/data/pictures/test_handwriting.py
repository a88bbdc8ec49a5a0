"""Synthetic handwriting: every symbol stays in its place, and the seed decides every stroke."""

from __future__ import annotations

import numpy as np
import pytest

from texlens.data.pictures.handwriting import Writer, handwrite, write_drawing
from texlens.data.pictures.ink import InkStyle, render_ink
from texlens.data.pictures.pen_strokes import GLYPHS, glyph_strokes
from texlens.engine import Drawing, get_engine

NEAT = Writer(habit=0, stray=0, sizing=0, turning=0, drift=0, spread=1.0)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("char", GLYPHS)
def test_strokes_stay_in_their_box(char: str) -> None:
    strokes = glyph_strokes(char)
    assert strokes
    for stroke in strokes:
        assert stroke.shape[1] == 2
        assert len(stroke) >= 2
        assert stroke.min() > -0.15
        assert stroke.max() < 1.15


def test_letters_digits_and_greek_differ() -> None:
    """No two letters or digits are written alike; capitals that are large small letters aside."""
    distinct = "abcdefghijklmnopqrstuvwxyzABDEFGHKLMNPQRTY0123456789αβγδζηθιλμξπρσφψωΓΔΘΛΞΠΣΦΨΩ"
    forms = {char: GLYPHS[char] for char in distinct}
    assert len(set(forms.values())) == len(forms)


@pytest.mark.parametrize(
    "formula",
    [
        r"\frac { a + b } { 2 }",
        r"\sqrt { x ^ { 2 } + 1 }",
        r"\sum _ { k = 0 } ^ { n } \hat { x } _ { k }",
    ],
)
def test_a_neat_hand_fills_the_printed_boxes(formula: str) -> None:
    (drawing,) = get_engine().draw([formula])
    assert isinstance(drawing, Drawing)
    strokes = write_drawing(drawing, rng(), NEAT)
    assert not isinstance(strokes, str)
    ink = np.concatenate(strokes)
    wanted = np.array(
        [[min(b.x0 for b in drawing.boxes), min(b.y0 for b in drawing.boxes)],
         [max(b.x1 for b in drawing.boxes), max(b.y1 for b in drawing.boxes)]]
    )  # fmt: skip
    assert np.abs(np.array([ink.min(axis=0), ink.max(axis=0)]) - wanted).max() < 0.12


def test_the_seed_decides() -> None:
    formulas = ["x + y", "x + y"]
    one, two = handwrite(formulas, [rng(1), rng(2)])
    again, _ = handwrite(formulas, [rng(1), rng(9)])
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_careless_hands_keep_the_order_of_symbols() -> None:
    formula = "a + b = c"
    for seed in range(30):
        (strokes,) = handwrite([formula], [rng(seed)])
        assert not isinstance(strokes, str)
        middles = [float(stroke[:, 0].mean()) for stroke in strokes]
        letters = [middles[0], np.mean(middles[1:3]), middles[3], middles[-1]]
        assert letters == sorted(letters)


def test_a_formula_that_cannot_be_written_has_a_reason() -> None:
    outcomes = handwrite([r"\mathfrak { g }", r"\frac {", r"x \quad", r"\quad"], [rng()] * 4)
    assert "no strokes are known for 'g' (fraktur)" in outcomes[0]
    assert isinstance(outcomes[1], str)
    assert not isinstance(outcomes[2], str)
    assert outcomes[3] == "the formula has no ink"


def test_the_strokes_can_be_rendered() -> None:
    (strokes,) = handwrite([r"\int _ { 0 } ^ { 1 } x d x"], [rng()])
    assert not isinstance(strokes, str)
    picture = render_ink(strokes, InkStyle(), rng())
    assert picture.min() < 60
    assert 0.01 < (picture < 128).mean() < 0.5
