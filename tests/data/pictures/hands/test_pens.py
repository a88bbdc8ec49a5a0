"""Strokes as a picture: each is rendered as if it were alone, and fast ones are thinner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from texlens.data.pictures.hands.pens import MAX_HEIGHT_PX, MAX_WIDTH_PX, PENS, Pen, ink_on_white
from texlens.data.pictures.ink import Grey, Stroke

TABLET = PENS[0]
BALLPOINT = replace(PENS[1], tone=(1.0, 1.0), grain=0.0)
FRAME = [np.array([[x, y]]) for x, y in ((0.0, 0.0), (9.0, 4.0))]  # dots that keep the scale


def arc(x: float, y: float, points: int) -> Stroke:
    turn = np.linspace(0.0, 4.0, points) ** 1.5
    return np.stack([x + np.cos(turn), y + np.sin(turn)], axis=1)


def picture(strokes: list[Stroke], pen: Pen, seed: int = 0) -> Grey:
    return ink_on_white([FRAME[0], *strokes, FRAME[1]], 28.0, pen, np.random.default_rng(seed))


@pytest.mark.parametrize("pen", [TABLET, BALLPOINT], ids=lambda pen: pen.name)
@pytest.mark.parametrize("seed", range(4))  # of which some smooth the strokes
def test_strokes_do_not_change_each_other(pen: Pen, seed: int) -> None:
    strokes = [arc(1.5, 2.0, 40), arc(4.5, 2.0, 5), np.array([[6.0, 1.0]]), arc(7.5, 2.0, 25)]
    alone = [picture([stroke], pen, seed) for stroke in strokes]
    np.testing.assert_array_equal(picture(strokes, pen, seed), np.minimum.reduce(alone))


def test_a_fast_stroke_of_a_ballpoint_is_thinner_and_a_tablets_is_not() -> None:
    x = np.concatenate([np.linspace(0.5, 4.5, 80), np.linspace(4.5, 8.5, 12)[1:]])
    line = np.stack([x, np.full(len(x), 2.0)], axis=1)
    for pen, thinner in ((BALLPOINT, True), (TABLET, False)):
        ink = (255 - picture([line], pen).astype(float)).sum(axis=0)
        slow, fast = np.split(ink[20:-20], 2)
        assert (np.median(fast) < 0.8 * np.median(slow)) == thinner


def test_a_large_formula_is_made_smaller() -> None:
    grey = ink_on_white([arc(0.0, 0.0, 9) * 50], 28.0, TABLET, np.random.default_rng(0))
    assert grey.shape[0] <= MAX_HEIGHT_PX + 1
    assert grey.shape[1] <= MAX_WIDTH_PX + 1
