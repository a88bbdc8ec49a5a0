"""Formulas drawn by TeX: real runs, skipped where TeX is not installed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from texlens.engine import Failure
from texlens.errors import TexlensError
from texlens.render import tex
from texlens.render.pdflatex import pdfium_version, tex_available, tex_version
from texlens.render.tex import compiles, render_tex

needs_tex = pytest.mark.skipif(not tex_available(), reason="TeX (pdflatex) is not installed")

HOSTILE = [
    r"\frac{1}{2",
    r"}x{",
    r"\def\a{\a\a}\a",
    r"\gdef\frac#1#2{X}",
    r"\input{/etc/passwd}",
    r"\immediate\write18{touch pwned}",
    r"\csname input\endcsname{/etc/passwd}",
    r"\pdfximage{/etc/passwd}",
    r"\rule{100000em}{100000em}",
    r"\rule{10000pt}{10000pt}",
    r"\end{document}",
    r"\undefinedthing",
    "{" * 300 + "}" * 300,
    "x" * 200_000,
    "\0",
    "\ud800",
    r"x^2^3",
    r"\left( x",
    r"\begin{matrix} 1 & 2",
    "$",
    r"\(",
    r"\href{javascript:alert(1)}{x}",
    "x\\",
    "漢",
    "",
]


@needs_tex
def test_a_fraction_is_drawn_with_its_bar() -> None:
    (picture,) = render_tex([r"\frac{1}{2}"], dpi=300)
    assert not isinstance(picture, Failure)
    ink = picture < 128
    rows = np.flatnonzero(ink.any(axis=1))
    margin = round(tex.PAGE_MARGIN_PT * 300 / 72)
    assert abs(rows[0] - margin) < 12
    longest_run = max(int(ink[row].sum()) for row in rows)
    columns = np.flatnonzero(ink.any(axis=0))
    assert longest_run == columns[-1] - columns[0] + 1  # the bar spans the whole fraction


@needs_tex
def test_size_follows_dpi_given_one_by_one() -> None:
    small, large = render_tex(["x + y", "x + y"], dpi=[100, 300])
    assert not isinstance(small, Failure)
    assert not isinstance(large, Failure)
    assert large.shape[0] == pytest.approx(3 * small.shape[0], abs=3)
    assert large.shape[1] == pytest.approx(3 * small.shape[1], abs=3)


@needs_tex
def test_a_broken_formula_spoils_only_its_page() -> None:
    pages = render_tex(["x", r"\nosuch", "y", "z^2^3", r"\frac{1}{2", "x"], dpi=72)
    assert [isinstance(page, Failure) for page in pages] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert np.array_equal(np.asarray(pages[0]), np.asarray(pages[-1]))


@pytest.mark.slow
@needs_tex
def test_hostile_formulas_spoil_nothing_but_themselves(tmp_path: Path) -> None:
    (alone,) = render_tex([r"\frac{a}{b}"], dpi=72)
    assert not isinstance(alone, Failure)
    mixed = [formula for hostile in HOSTILE for formula in (hostile, r"\frac{a}{b}")]
    pages = render_tex(mixed, dpi=72)
    assert len(pages) == len(mixed)
    for hostile, bad, good in zip(HOSTILE, pages[::2], pages[1::2], strict=True):
        assert isinstance(bad, Failure) or hostile.startswith(r"\gdef"), hostile
        assert not isinstance(good, Failure), f"spoilt by {hostile!r}: {good}"
        assert np.array_equal(good, alone), hostile
    assert not (tmp_path / "pwned").exists()


@needs_tex
def test_what_only_places_a_formula_in_a_text_does_not_break_it() -> None:
    whole = ["x\n\ny", "x % comment", "$x$ + $y$", r"\[x\]", "x \\ "]
    assert compiles([*whole, r"\frac{a}{b}"]) == [True] * 6


@needs_tex
def test_multiline_environments_stand_alone() -> None:
    formulas = [
        r"\begin{align*} a &= b \\ c &= d \end{align*}",
        r"\begin{gather} a \\ b \end{gather}",
        r"\begin{eqnarray} a & = & b \\ c & = & d \end{eqnarray}",
        r"\begin{array}{ll} a & b \\ c & d \end{array}",
        r"\begin{cases} a & b \\ c & d \end{cases}",
    ]
    assert compiles(formulas) == [True] * 5


@needs_tex
def test_compiles_tells_valid_from_broken() -> None:
    assert compiles([r"x ^ { 2 }", r"x ^ ^ 2", r"\nosuch", r"\sqrt { x }"]) == [
        True,
        False,
        False,
        True,
    ]


@needs_tex
def test_a_character_missing_from_the_font_is_a_failure() -> None:
    (verdict,) = compiles([r"\mathbb { \alpha \coprod } \mathcal { \char 250 }"], font="mathptmx")
    assert verdict is False


@pytest.mark.slow
@needs_tex
def test_fonts_differ() -> None:
    probe = r"\alpha + g ( x )"
    fonts = [font for font in tex.FONTS if compiles([probe], font=font) == [True]]
    assert "cm" in fonts
    pictures = {font: render_tex([probe], font=font, dpi=100)[0] for font in fonts[:4]}
    shapes = {np.asarray(p).tobytes() for p in pictures.values() if not isinstance(p, Failure)}
    assert len(shapes) >= len(pictures) - 1  # lmodern draws as cm does


@needs_tex
def test_an_endless_loop_is_found_and_the_rest_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tex, "SECONDS_TO_START", 3.0)
    pages = render_tex(["x", r"\loop\iftrue\repeat", "y"], dpi=50)
    assert [isinstance(page, Failure) for page in pages] == [False, True, False]


def test_without_tex_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    assert compiles(["x"]) == [None]
    with pytest.raises(TexlensError, match="texlive"):
        render_tex(["x"])


def test_versions_of_tex_and_pdfium(pdflatex: str) -> None:
    assert re.fullmatch(r"pdftex:\d[\d.]+(,(texlive|miktex):[\w.]+)?", tex_version())
    assert re.fullmatch(r"pdfium:\d+", pdfium_version())


@needs_tex
def test_chemistry_is_set_by_mhchem_beside_other_formulas() -> None:
    formulas = [r"\ce{SO4^{2-} -> S v}", r"a^2", r"\ce{H2O}"]
    together = render_tex(formulas)
    assert not any(isinstance(picture, Failure) for picture in together)
    for formula, picture in zip(formulas, together, strict=True):
        (alone,) = render_tex([formula])
        assert np.array_equal(picture, alone)
