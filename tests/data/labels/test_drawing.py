"""Drawing and comparing, with glyphs that the tests make themselves: no TeX is needed."""

import math

import numpy as np
import pytest

from texlens.data.labels.drawing import BORDER, compare, draw
from texlens.data.labels.glyphs import PIXELS_PER_SP, Bitmap, GlyphTable
from texlens.data.labels.pages import FormulaPage
from texlens.errors import InputError
from texlens.render.dvi import Character, Glyph, Rule

A, B = Glyph("cmr10", 655360, 65), Glyph("cmr10", 655360, 66)
HEIGHT = round(30 / PIXELS_PER_SP)


def sp(pixels: float) -> int:
    return round(pixels / PIXELS_PER_SP)


@pytest.fixture
def glyphs() -> GlyphTable:
    table = GlyphTable()
    solid = np.ones((20, 12), bool)
    ring = solid.copy()
    ring[6:14, 4:8] = False
    table.learnt[A] = Bitmap(-20, 0, solid)
    table.learnt[B] = Bitmap(-20, 0, ring)
    return table


def page(*characters: tuple[Glyph, float, float], rules: tuple[Rule, ...] = ()) -> FormulaPage:
    """Glyphs at pixels; y is that of the baseline below the upper edge of a page 30 pixels high."""
    placed = (Character(glyph, sp(x), sp(y)) for glyph, x, y in characters)
    return FormulaPage(tuple(placed), rules, HEIGHT)


def test_a_formula_fits_its_own_picture_to_the_pixel(glyphs: GlyphTable) -> None:
    formula = page((A, 0, 24), (B, 15, 24), rules=(Rule(sp(2), sp(28), sp(30), sp(1)),))
    picture = draw(formula, glyphs)
    assert picture is not None
    found = compare(picture, formula, glyphs, 1.0)
    assert (found.score, found.pixels) == (0.0, 0)


def test_the_picture_has_sixteen_levels_and_a_white_border(glyphs: GlyphTable) -> None:
    picture = draw(page((A, 0.3, 24.2), (B, 17, 25)), glyphs)
    assert picture is not None
    assert set(np.unique(picture)) <= set(range(0, 256, 17))
    ink = picture < 250
    for side in (ink[:BORDER], ink[-BORDER:], ink[:, :BORDER], ink[:, -BORDER:]):
        assert not side.any()
    assert ink[BORDER : BORDER + 2].any()
    assert ink[:, BORDER : BORDER + 2].any()


def test_another_glyph_in_its_place_is_seen(glyphs: GlyphTable) -> None:
    picture = draw(page((A, 0, 24), (B, 15, 24)), glyphs)
    assert picture is not None
    found = compare(picture, page((A, 0, 24), (A, 15, 24)), glyphs, 1.0)
    assert 1.0 < found.score < math.inf
    assert found.where[1] > picture.shape[1] // 2


def test_another_size_never_fits(glyphs: GlyphTable) -> None:
    picture = draw(page((A, 0, 24)), glyphs)
    assert picture is not None
    assert compare(picture, page((A, 0, 24), (A, 40, 24)), glyphs, 1.0).score == math.inf
    assert compare(picture, page(), glyphs, 1.0).score == math.inf


def test_what_hangs_below_the_page_is_not_seen(glyphs: GlyphTable) -> None:
    whole, cut = draw(page((A, 0, 29)), glyphs), draw(page((A, 0, 36)), glyphs)
    assert whole is not None
    assert cut is not None
    assert whole.shape[0] - cut.shape[0] == 3  # six rows of 200 dpi
    assert draw(page((A, 0, 60)), glyphs) is None


def test_only_a_glyph_between_two_pixels_may_move(glyphs: GlyphTable) -> None:
    """0.5 is added before the fraction is cut off, so x.49 and x.51 are in different pixels."""
    picture = draw(page((A, 0, 24), (A, 16.0, 24), (B, 30, 24)), glyphs)
    assert picture is not None
    near = compare(picture, page((A, 0, 24), (A, 16.51, 24), (B, 30, 24)), glyphs, 1.0)
    far = compare(picture, page((A, 0, 24), (A, 16.7, 24), (B, 30, 24)), glyphs, 1.0)
    assert near.score == 0.0
    assert far.score > 1.0


def test_learnt_bitmaps_survive_a_file(glyphs: GlyphTable, tmp_path) -> None:
    glyphs.save(tmp_path / "glyphs.npz")
    read = GlyphTable()
    read.load(tmp_path / "glyphs.npz")
    assert read.learnt.keys() == glyphs.learnt.keys()
    assert (read[B].ink == glyphs[B].ink).all()
    assert read[B][:2] == glyphs[B][:2]
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"broken\.npz' is not a table of glyphs"):
        read.load(tmp_path / "broken.npz")
