"""Printed pictures: the same by the same seed."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from texlens.data.pictures.renderers import (
    Dropped,
    FormulaPicture,
    Style,
    choose_style,
    render_formulas,
)
from texlens.data.pictures.renderers.pdftex import like_im2latex, wrong_glyphs
from texlens.engine import fonts
from texlens.render.pdflatex import tex_available

needs_tex = pytest.mark.skipif(not tex_available(), reason="TeX (pdflatex) is not installed")
FORMULAS = [r"x ^ { 2 }", r"\frac { a } { b }", r"\sum _ { n } \alpha _ { n }"]


def randoms(n: int) -> list[Random]:
    return [Random(i) for i in range(n)]


@pytest.mark.parametrize(
    "style",
    [
        Style("mathjax", "tex"),
        Style("mathjax", "tex", like_im2latex=True),
        pytest.param(Style("pdftex", "cm", like_im2latex=True), marks=needs_tex),
        pytest.param(Style("pdftex", "mathpazo"), marks=needs_tex),
    ],
)
def test_pictures_do_not_depend_on_their_batch(style: Style) -> None:
    together = render_formulas([*FORMULAS, r"\frac {"], style, randoms(4))
    assert isinstance(together[3], Dropped)
    for number in (0, 2):
        (alone,) = render_formulas([FORMULAS[number]], style, [Random(number)])
        batch = together[number]
        assert isinstance(alone, FormulaPicture)
        assert isinstance(batch, FormulaPicture)
        assert np.array_equal(alone.grey, batch.grey)
        assert alone.pixels_per_em == batch.pixels_per_em
        ink = alone.grey < 255 - 32
        assert all(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


@pytest.mark.parametrize(
    ("formula", "font", "wrong"),
    [
        (r"\mathrm { \Delta } x", "mathpazo", True),  # black boxes
        (r"\mathrm { a } \Delta", "mathpazo", False),
        (r"\mathbf { x _ { \alpha } }", "mathpazo", True),  # a ligature of two f
        (r"\mathbf { x _ { 1 } } _ { \alpha }", "mathpazo", False),
        (r"\ce {A ->[\Delta] B}", "helvetica", True),
        (r"\ce {A ->[\Delta] B}", "charter", False),
        (r"\mathcal { \Gamma }", "cm", True),  # another sign of the font of symbols
        (r"\ce {2-C4H8}", "stix2", True),  # a minus-plus
        (r"\ce {2-C4H8}", "cm", False),
    ],
)
def test_what_a_font_of_tex_shows_as_another_sign_is_found(
    formula: str, font: str, wrong: bool
) -> None:
    assert (wrong_glyphs(formula, font) is not None) is wrong


@needs_tex
def test_what_a_font_of_tex_shows_as_another_sign_is_dropped() -> None:
    rendered = render_formulas(
        [r"\mathrm { \Delta }", "x"], Style("pdftex", "mathpazo"), randoms(2)
    )
    assert isinstance(rendered[0], Dropped)
    assert rendered[0].reason == "wrong glyphs: the font has no upright Greek"
    assert isinstance(rendered[1], FormulaPicture)


def test_size_is_in_pixels_an_em() -> None:
    rendered = [
        render_formulas(["x"], Style("mathjax", "tex"), [Random(seed)])[0] for seed in range(8)
    ]
    ratios = [d.grey.shape[0] / d.pixels_per_em for d in rendered if isinstance(d, FormulaPicture)]
    assert len(ratios) == 8
    assert all(0.4 < ratio < 0.56 for ratio in ratios)  # an x is 0.43 em high, plus a soft edge
    assert len({d.pixels_per_em for d in rendered if isinstance(d, FormulaPicture)}) == 8


def test_the_im2latex_style_is_half_as_large_and_hard() -> None:
    page = np.full((41, 60), 255, np.uint8)
    page[10:30, 20:40] = 200  # pale ink
    styled = like_im2latex(page, threshold=250)
    assert styled.shape == (21, 30)
    assert styled[10, 15] == 0  # pale ink is black
    assert styled[0, 0] == 255
    assert (like_im2latex(page, threshold=150) == 255).all()


def test_without_tex_mathjax_renders_in_all_its_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("texlens.data.pictures.renderers.pdftex.tex_available", lambda: False)
    styles = [choose_style(Random(seed)) for seed in range(90)]
    assert {style.renderer for style in styles} == {"mathjax"}
    assert {style.font for style in styles} == set(fonts())
    assert {style.like_im2latex for style in styles} == {True, False}
