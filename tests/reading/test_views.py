"""Reading again: which pictures, the similarity of renderings, which answer is chosen."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from texlens.reading.pictures.render_similarity import render_similarities
from texlens.reading.views import DOUBT, View, best, further_views
from texlens.records import Reading, Token
from texlens.render import Size, png

FORMULAS = [
    r"\frac { a } { b } + x ^ { 2 }",
    r"\sum _ { i = 1 } ^ { n } x _ { i }",
    r"\sqrt { z } ( 1 - q )",
    r"\alpha ^ { 2 } + \beta ^ { 2 } = 1",
]


def picture(formula: str, em_px: float = 24.0) -> Image.Image:
    rendered = png(formula, Size(em_px=em_px))
    assert isinstance(rendered, bytes)
    return Image.open(io.BytesIO(rendered)).convert("L")


def reading(latex: str, confidence: float = 0.9, warnings: tuple[str, ...] = ()) -> Reading:
    return Reading("p", latex, confidence, (Token("x", math.log(confidence)),), warnings)


@pytest.mark.parametrize("em_px", [12.0, 24.0, 60.0])
def test_a_picture_is_most_like_its_own_formula(em_px: float) -> None:
    for place, formula in enumerate(FORMULAS):
        found = render_similarities(picture(formula, em_px), FORMULAS)
        assert int(np.argmax(found)) == place
        assert found[place] > 0.9
        assert all(0 <= value <= 1 for value in found)


def test_one_wrong_symbol_is_noticed() -> None:
    right = r"x ^ { 2 } + y ^ { 2 } = z"
    wrong = [r"x _ { 2 } + y ^ { 2 } = z", r"x ^ { 2 } - y ^ { 2 } = z", r"x ^ { 2 } + y ^ { 2 } ="]
    found = render_similarities(picture(right), [right, *wrong])
    assert found[0] > max(found[1:])


def test_heavier_ink_and_margins_change_little() -> None:
    rendered = picture(FORMULAS[0])
    heavy = Image.fromarray(np.minimum(255, np.asarray(rendered) * 0.9).astype(np.uint8))
    wide = Image.new("L", (rendered.width + 90, rendered.height + 40), 255)
    wide.paste(heavy, (50, 30))
    assert render_similarities(wide, FORMULAS[:1])[0] > 0.9


def test_what_cannot_be_rendered_has_no_similarity() -> None:
    assert render_similarities(picture("x"), [r"\frac {", r"\quad", "x"])[:2] == [0.0, 0.0]
    assert render_similarities(Image.new("L", (40, 40), 255), ["x"]) == [0.0]


def test_doubtful_pictures_are_read_again() -> None:
    assert further_views(reading("x", DOUBT + 0.01), 1, can_zoom=True) == []
    in_sizes = further_views(reading("x", DOUBT - 0.01), 1, can_zoom=True)
    assert in_sizes
    assert all(view.temperature == 0 and view.zoom != 1 for view in in_sizes)
    assert further_views(reading("x", DOUBT - 0.01), 1, can_zoom=False) == []


@pytest.mark.parametrize("can_zoom", [True, False])
def test_faulty_answers_are_sampled_again(can_zoom: bool) -> None:
    views = further_views(reading("x", 0.99, ("loop",)), 1, can_zoom=can_zoom)
    assert any(view.temperature > 0 for view in views)
    assert any(view.zoom != 1 for view in views) == can_zoom


@pytest.mark.parametrize("can_zoom", [True, False])
def test_best_of_n_reads_in_n_different_views(can_zoom: bool) -> None:
    for count in (2, 5, 12):
        views = [View(), *further_views(reading("x", 0.999), count, can_zoom=can_zoom)]
        assert len(views) == len(set(views)) == count


def test_between_answers_about_as_likely_the_one_that_looks_like_the_picture_counts() -> None:
    readings = [reading(formula) for formula in FORMULAS[:3]]
    assert best(picture(FORMULAS[1]), readings, [-2.0, -3.0, -2.5]) == 1


def test_an_answer_that_is_likely_in_all_views_counts_though_another_is_surer_in_its_own() -> None:
    right, wrong = r"Y ^ { ( \gamma ) }", "Y ^ { ( y ) }"
    readings = [reading(wrong, 0.99), reading(right, 0.9)]
    assert best(picture(right), readings, [-9.0, -1.0]) == 1
    assert best(picture(wrong), readings, [-9.0, -1.0]) == 1


def test_whole_answers_count_before_faulty_ones_and_these_before_broken_ones() -> None:
    seen = picture(FORMULAS[1])
    broken, cut, whole = (
        reading(FORMULAS[1] + " }", 0.99, ("does_not_parse",)),
        reading(FORMULAS[1], 0.98, ("unfinished",)),
        reading(FORMULAS[0], 0.5),
    )
    assert best(seen, [broken, cut, whole], [-1.0, -1.0, -90.0]) == 2
    assert best(seen, [broken, cut], [-1.0, -90.0]) == 1


def test_among_equal_answers_the_surest_counts() -> None:
    same = [reading("x", 0.7), reading("x", 0.8), reading("x", 0.75)]
    assert best(picture("x"), same, [0.0] * 3) == 1
