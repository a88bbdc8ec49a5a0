"""The strokes along a thinned letter: crossings go straight on, spurs go, loops close."""

from __future__ import annotations

import numpy as np
import pytest
from centre_lines import Points, strokes_of

Lines = list[tuple[int, int, int, int]]  # x0, y0, x1, y1


def strokes(lines: Lines, pen: float = 4.0) -> list[Points]:
    """The strokes of lines one pixel wide, as if each were the middle of a line of a pen."""
    shape = np.zeros((100, 100), dtype=bool)
    for x0, y0, x1, y1 in lines:
        steps = max(abs(x1 - x0), abs(y1 - y0)) + 1
        x, y = np.linspace([x0, y0], [x1, y1], steps).round().astype(int).T
        shape[y, x] = True
    return strokes_of(shape, np.full(shape.shape, pen, dtype=np.float32), pen)


def ends(stroke: Points) -> list[tuple[float, float]]:
    return [(round(x), round(y)) for x, y in (stroke[0], stroke[-1])]


def test_a_cross_is_two_straight_strokes_each_from_its_upper_left_end() -> None:
    found = strokes([(10, 50, 90, 50), (50, 10, 50, 90)])
    assert sorted(map(ends, found)) == [[(10, 50), (90, 50)], [(50, 10), (50, 90)]]
    assert all(np.ptp(stroke, axis=0).min() < 1 for stroke in found)


def test_two_junctions_closer_than_the_pen_is_wide_are_one_crossing() -> None:
    # A flat X, as thinning leaves it: its arms meet in two points with a short line between.
    arms = [
        (10, 20, 46, 50),
        (10, 80, 46, 50),
        (46, 50, 54, 50),
        (54, 50, 90, 20),
        (54, 50, 90, 80),
    ]
    found = strokes(arms)
    assert sorted(map(ends, found)) == [[(10, 20), (90, 80)], [(10, 80), (90, 20)]]


def test_a_t_keeps_its_bar_whole_and_its_stem_ends_there() -> None:
    found = strokes([(10, 10, 90, 10), (50, 10, 50, 90)])
    assert sorted(map(ends, found)) == [[(10, 10), (90, 10)], [(50, 10), (50, 90)]]


def test_a_spur_is_no_stroke_and_a_longer_branch_is_one() -> None:
    stem = (50, 10, 50, 90)
    assert len(strokes([stem, (50, 50, 54, 50)])) == 1
    assert len(strokes([stem, (50, 50, 75, 50)])) == 2


@pytest.mark.parametrize("hanging", [False, True])
def test_a_loop_is_closed(hanging: bool) -> None:
    loop = [(20, 20, 80, 20), (80, 20, 80, 70), (80, 70, 20, 70), (20, 70, 20, 20)]
    found = strokes([*loop, (80, 70, 80, 95)] if hanging else loop)
    around = max(found, key=len)
    assert np.ptp(around, axis=0).min() >= 49
    if not hanging:
        assert len(found) == 1
        np.testing.assert_array_equal(around[0], around[-1])
        assert around[0, 1] == 20
