"""Formulas as SVG and PNG: the sizes asked for, ink in colour, and nothing in a file but shapes."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from texlens.engine import Failure
from texlens.errors import InputError
from texlens.render import Size, png, png_many, svg, svg_many
from texlens.render.overlay import overlay
from texlens.render.sheet import contact_sheet

SHAPES = {"svg", "g", "a", "path", "rect", "line", "ellipse", "polygon", "text"}
FORMULAS = [
    r"\frac{a}{b}",
    r"\left(\begin{array}{|c|c|}\hline 1&2\\\hline\end{array}\right)",
    r"\cancel{x}\boxed{y}\enclose{circle}{z}\enclose{northeastarrow}{w}",
    r"\sqrt[3]{x}\overbrace{abc}\color{red}x",
    r"\href{https://example.org}{x}",
    "漢字 & \\text{<b>\"quoted\" & 'safe'</b>}".replace("&", r"\&"),
    "a\0b\ud800c\u202ed",
]


def picture(content: bytes | Failure) -> Image.Image:
    assert isinstance(content, bytes), content
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("formula", FORMULAS)
def test_svg_is_shapes_and_nothing_else(formula: str) -> None:
    text = svg(formula)
    assert isinstance(text, str), text
    for element in ElementTree.fromstring(text.encode()).iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in SHAPES
        for name, value in element.attrib.items():
            assert name not in ("style", "class", "id", "href")
            assert not name.startswith(("on", "data-", "{"))
            assert "url(" not in value
            assert "script:" not in value


def test_svg_takes_the_size_of_the_text() -> None:
    text = svg("x")
    assert isinstance(text, str)
    root = ElementTree.fromstring(text)
    assert (root.get("width"), root.get("height")) == ("0.572em", "0.453em")
    assert "#000" in text
    assert "currentColor" not in text


def test_png_has_the_size_asked_for() -> None:
    assert picture(png(r"\frac{a}{b}", Size(height_px=48))).height == 48
    small, large = (picture(png("x+y", Size(em_px=px, margin_px=0))) for px in (20, 40))
    assert large.width == pytest.approx(2 * small.width, abs=2)
    assert picture(png("x+y", Size(em_px=20, margin_px=7))).width == small.width + 14
    # At 10 pt an em is 10/72.27 inch.
    dotted = picture(png(r"\rule{1em}{1em}", Size(dpi=722.7, margin_px=0)))
    assert dotted.size == (100, 100)
    for size in (Size(), Size(em_px=10, dpi=100), Size(em_px=-1), Size(height_px=5)):
        with pytest.raises(InputError):
            png("x", size)


def test_png_is_black_on_white_or_on_nothing() -> None:
    grey = np.asarray(picture(png(r"\rule{1em}{1em}", Size(em_px=20, margin_px=3))).convert("L"))
    assert grey[0, 0] == 255
    assert (grey[5:-5, 5:-5] == 0).all()
    clear = picture(png("x", background="")).convert("RGBA")
    assert clear.getpixel((0, 0))[3] == 0  # type: ignore[index]
    red = np.asarray(picture(png(r"\color{red}\rule{1em}{1em}")).convert("RGB"))
    assert (red[10, 10] == (255, 0, 0)).all()


def test_what_cannot_be_drawn_is_a_failure_in_its_place() -> None:
    formulas = ["a", r"\frac{", r"\rule{100000em}{100000em}", "b"]
    kinds = [p.kind if isinstance(p, Failure) else "drawn" for p in png_many(formulas)]
    assert kinds == ["drawn", "parse", "limit", "drawn"]
    assert [isinstance(s, str) for s in svg_many(formulas)] == [True, False, True, True]
    assert [isinstance(o, Image.Image) for o in overlay(formulas)] == [True, False, False, True]
    assert svg_many([]) == []


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert picture(png(r"\phantom{xyz}", Size(em_px=20, margin_px=2))).height >= 5
    assert picture(png("", Size(em_px=20, margin_px=2))).size == (5, 5)


def test_a_sheet_holds_all_formulas_and_shows_failures() -> None:
    few, failures = contact_sheet(["a", r"\frac{", "é漢\ud800"])
    assert [number for number, _ in failures] == [2]
    many, _ = contact_sheet([r"x^2 + y^2"] * 60)
    assert few.width == many.width
    assert many.height > few.height
    assert (np.asarray(few) == (255, 221, 221)).all(axis=2).any()  # the pink of a failure


def test_an_overlay_draws_a_frame_round_every_box() -> None:
    (framed,) = overlay([r"x=\frac{y}{z}"])
    assert isinstance(framed, Image.Image)
    pixels = np.asarray(framed)
    assert (pixels == (0, 170, 0)).all(axis=2).sum() > 100  # around letters
    assert (pixels == (204, 0, 0)).all(axis=2).sum() > 20  # around the fraction bar
