"""DVI files as TeX writes them."""

import pytest

from texlens.errors import TexlensError
from texlens.render.dvi import Glyph, font_widths, read_dvi
from texlens.render.pdflatex import run_pdflatex

POINT = 65536


@pytest.mark.slow
def test_every_character_and_rule_has_its_place(pdflatex: str) -> None:
    pages = read_dvi(
        run_pdflatex(
            r"\documentclass{article}\begin{document}"
            r"\shipout\hbox{\special{hello world}ab\kern3pt\raise2pt\hbox{$x$}\vrule height4pt width5pt}"
            r"\shipout\vbox{\hbox to50pt{\hfil c}\kern7pt\moveright4pt\hbox{d}}"
            r"\end{document}",
            60,
            "dvi",
        ).pages
    )
    first, second = pages
    widths = font_widths("cmr10")
    a, b = (widths[ord(letter)] * 10 * POINT >> 20 for letter in "ab")
    roman = ("cmr10", 10 * POINT)
    assert [c.glyph for c in first.characters] == [
        Glyph(*roman, ord("a")),
        Glyph(*roman, ord("b")),
        Glyph("cmmi10", 10 * POINT, ord("x")),
    ]
    assert [c.x for c in first.characters] == [0, a, a + b + 3 * POINT]
    assert first.characters[2].y == first.characters[0].y - 2 * POINT
    assert first.specials[-1] == "hello world"
    (rule,) = first.rules
    assert (rule.y, rule.width, rule.height) == (first.characters[0].y, 5 * POINT, 4 * POINT)
    c, d = second.characters
    assert d.x == 4 * POINT
    assert c.x == 50 * POINT - (widths[ord("c")] * 10 * POINT >> 20)
    assert d.y - c.y > 7 * POINT


@pytest.mark.parametrize("content", [b"", b"\xf7\x02", b"%PDF-1.5", bytes(200)])
def test_a_damaged_file_gives_one_sentence(content: bytes) -> None:
    with pytest.raises(TexlensError, match="damaged or cut short"):
        read_dvi(content)
