"""Bitmaps are learnt back from pictures that were drawn with them."""

import numpy as np

from texlens.data.labels.drawing import compare, draw
from texlens.data.labels.glyphs import PIXELS_PER_SP, Bitmap, GlyphTable
from texlens.data.labels.learning import glyph_kinds, learn
from texlens.data.labels.pages import FormulaPage
from texlens.render.dvi import Character, Glyph

A, B = Glyph("cmmi10", 655360, 97), Glyph("cmmi10", 655360, 98)
FRAME = Glyph("cmr10", 655360, 40)


def _table(ink: np.ndarray) -> GlyphTable:
    table = GlyphTable()
    table.learnt[A] = Bitmap(-20, 0, ink)
    table.learnt[B] = Bitmap(-24, 0, np.ones((24, 5), bool))
    table.learnt[FRAME] = Bitmap(-26, 0, np.ones((30, 3), bool))
    return table


def _pages(count: int) -> list[FormulaPage]:
    """A in all four parities between two bars, which keep the size of the picture."""
    rng = np.random.default_rng(3)
    pages = []
    for _ in range(count):
        places = [(FRAME, 0, 30), (A, *rng.integers(8, 40, 2)), (B, 60, 28), (FRAME, 80, 30)]
        places[1] = (A, places[1][1], int(26 + rng.integers(0, 2)))
        characters = tuple(
            Character(g, round(x / PIXELS_PER_SP), round(y / PIXELS_PER_SP)) for g, x, y in places
        )
        pages.append(FormulaPage(characters, (), round(36 / PIXELS_PER_SP)))
    return pages


def test_wrong_pixels_are_found_and_flipped() -> None:
    rng = np.random.default_rng(1)
    true = np.zeros((20, 16), bool)
    true[2:18, 3:13] = True
    true[8:12, 6:10] = False
    wrong = true.copy()
    for row, column in ((2, 5), (17, 8), (9, 13), (8, 7), (1, 10)):
        wrong[row, column] ^= True
    real, table = _table(true), _table(wrong)
    pages = _pages(24)
    rng.shuffle(pages)
    pictures = [draw(page, real) for page in pages]
    before = [compare(p, page, table, 0.1).pixels for p, page in zip(pictures, pages, strict=True)]
    changed = learn(zip(pictures, pages, strict=True), table)
    after = [compare(p, page, table, 0.1).pixels for p, page in zip(pictures, pages, strict=True)]
    assert changed == 1
    assert min(before) > 0
    assert max(after) == 0
    restored = table[A]
    assert (restored.top, restored.left) == (-18, 3)
    assert (restored.ink == true[2:18, 3:13]).all()


def test_a_glyph_that_is_another_one_is_not_learnt() -> None:
    """A reading that has a full circle for a ring must not teach the circle to be a ring."""
    ring = np.ones((20, 16), bool)
    ring[3:17, 3:13] = False
    full = np.ones((20, 16), bool)
    real, table = _table(ring), _table(full)
    pages = _pages(12)
    learn([(draw(page, real), page) for page in pages], table, limit=9.0)
    assert (table[A].ink == full).all()


def test_two_pictures_teach_nothing() -> None:
    true = np.ones((20, 16), bool)
    wrong = true.copy()
    wrong[0, 3:7] = False
    pages = _pages(2)
    table = _table(wrong)
    assert learn([(draw(page, _table(true)), page) for page in pages], table) == 0


def test_a_glyph_depends_on_script_and_font() -> None:
    assert glyph_kinds(r"a ^ { a _ b } \mathbf { a + \frac { c } 2 } a") == {
        ("a", 0, ""),
        ("a", 1, ""),
        ("b", 2, ""),
        ("a", 0, r"\mathbf"),
        ("+", 0, r"\mathbf"),
        ("\\frac", 0, r"\mathbf"),
        ("c", 0, r"\mathbf"),
        ("2", 0, r"\mathbf"),
    }
