"""Glyph boxes: they hold all ink of the picture and nothing else, and say what drew it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from texlens.engine import Box, Drawing, Failure, get_engine
from texlens.render import Size, png

# One formula of every kind of structure; the pictures of their boxes were looked at, too.
STRUCTURES = {
    "fraction": r"\frac{a+b}{\dfrac{c}{d}}",
    "scripts": r"x_i^{2}+y^{n_k}_{j}",
    "root": r"\sqrt[3]{\frac{1}{1+\sqrt{x}}}",
    "delimiters": r"\left(\frac{\frac ab}{\frac{c}{\frac de}}\right]\Bigl\{ \left\langle \sum_i \right\|",
    "pieces": r"\begin{pmatrix}a&b\\c&d\\e&f\\g&h\\i&j\end{pmatrix}",
    "cases": r"f(x)=\begin{cases}1 & x>0\\ 0 & \text{else}\end{cases}",
    "accents": r"\hat x\widehat{abc}\bar y\vec v\dot z\tilde{n}\overline{AB}\underline{cd}",
    "small accents": r"T^{\overline{ab}}_{\underline{\alpha\beta}} x^{\widetilde{yz}}",
    "primes": r"f'' + g'_i + h^{\prime\prime\prime}",
    "operators": r"\sum_{i=1}^{n}\int_0^\infty \lim_{x\to0}\prod",
    "text": r"\text{if } x\not= y \mathrel{\not\in} \not\subset",
    "foreign text": r"\text{Größe ж é} \S \ell",
    "arrows": r"A\xrightarrow[\text{below}]{\text{above}}B\stackrel{!}{=}\overset{a}{b}",
    "alphabets": r"\mathbb{R}\mathcal{A}\mathscr{F}\mathfrak{g}\mathbf{x}\boldsymbol{\alpha}\bm{y}",
    "lines": r"\begin{array}{|c|c|}\hline a&b\\\hline c&d\\\hline\end{array}",
    "augmented": r"\left[\begin{array}{cc|c} 1&2&3\\ \hline 4&5&6\end{array}\right]",
    "aligned": r"\begin{aligned}a&=b+c\\&=d\tag{3}\end{aligned}",
    "lines without environment": r"a+b \\ c",
    # The tag keeps the rendering from putting another environment for it.
    "multline": r"\begin{multline}a+b\\c+d\\e\tag{1}\end{multline}",
    "braces": r"\underbrace{a+b+c+d+e+f}_{n}\overbrace{x}^{y}",
    "diagram": r"\begin{CD} A @>a>> B\\ @VVbV @VVcV\\ C @>d>> D\end{CD}",
    "colours": r"\color{red}{x}\mathcolor{#00ff00}{+}\textcolor{blue}{y}",
    "enclosures": r"\boxed{E=mc^2}\cancel{x}\fbox{a}\enclose{circle}{b}\enclose{longdiv}{12}",
    "rule": r"a \rule{1em}{0.5ex} b \rule[-0.5em]{0.2em}{2em}",
    "chemistry": r"\ce{2H2O -> H3O+ + OH-}",
    "sizes": r"\tiny a \Huge b \scriptstyle \sum_i",
}

EM_PX, MARGIN_PX = 50.0, 6
# Edges are smoothed over a pixel, and the picture is a whole number of pixels large.
SLACK_PX = 1


def draw(formula: str) -> tuple[Box, ...]:
    drawing = get_engine().draw([formula])[0]
    assert isinstance(drawing, Drawing), drawing
    return drawing.boxes


@pytest.mark.parametrize("formula", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_boxes_hold_all_ink_and_are_filled_by_it(formula: str) -> None:
    drawing = get_engine().draw([formula])[0]
    picture = png(formula, Size(em_px=EM_PX, margin_px=MARGIN_PX))
    assert isinstance(drawing, Drawing)
    assert isinstance(picture, bytes)
    ink = np.asarray(Image.open(io.BytesIO(picture)).convert("L")) < 160
    uncovered = ink.copy()
    for box in drawing.boxes:
        left, right = (int(x * EM_PX) + MARGIN_PX for x in (box.x0, box.x1))
        top, bottom = (int((y + drawing.height) * EM_PX) + MARGIN_PX for y in (box.y0, box.y1))
        around = np.s_[
            max(0, top - SLACK_PX) : bottom + 1 + SLACK_PX,
            max(0, left - SLACK_PX) : right + 1 + SLACK_PX,
        ]
        uncovered[around] = False
        rows, columns = np.nonzero(ink[around])
        assert rows.size, f"no ink in {box}"
        height, width = ink[around].shape
        gaps = rows.min(), columns.min(), height - 1 - rows.max(), width - 1 - columns.max()
        assert max(gaps) <= 2 * SLACK_PX, f"ink does not reach the sides of {box}: {gaps}"
    assert not uncovered.any(), f"{uncovered.sum()} black pixels in no box"


def test_what_a_box_says() -> None:
    numerator, denominator, bar = draw(r"\frac{a}{\mathbf{b}}")
    assert (numerator.char, numerator.font, numerator.token) == ("a", "italic", "a")
    assert (denominator.char, denominator.font) == ("b", "bold")
    assert (bar.kind, bar.char, bar.token) == ("rule", "", r"\frac")
    assert numerator.y1 < bar.y0 < bar.y1 < denominator.y0
    assert [box.token for box in draw(r"\hat{x}\left(\sum\right)12")] == [
        *("x", r"\hat", r"\left(", r"\sum", r"\right)", "1", "2")
    ]
    base, superscript, subscript = sorted(draw("x_i^2"), key=lambda box: "x2i".index(box.char))
    assert subscript.scale == superscript.scale < base.scale == 1.0
    assert superscript.y1 < subscript.y0
    assert base.base == 0.0
    assert superscript.base < 0.0 < subscript.base
    letters = draw(r"\mathbb{R}\mathcal{L}\mathscr{L}\mathfrak{g}\mathsf{S}\mathtt{t}h")
    assert "".join(box.char for box in letters) == "RLLgSth"
    assert [box.font for box in letters] == [
        *("double-struck", "calligraphic", "script", "fraktur", "sans-serif", "monospace", "italic")
    ]


def test_pieces_make_one_box() -> None:
    kinds = [
        box.kind for box in draw(r"\left(\begin{matrix}1\\2\\3\\4\\5\\6\\7\end{matrix}\right)")
    ]
    assert kinds == ["stretch", *["glyph"] * 7, "stretch"]
    root = draw(r"\sqrt{\begin{matrix}1\\2\\3\\4\\5\\6\\7\end{matrix}}")
    assert [box.kind for box in root] == ["radical", *["glyph"] * 7, "rule"]
    assert [box.kind for box in draw(r"\left(x\right)")] == ["glyph"] * 3
    brace = draw(r"\underbrace{a+b+c+d}")[-1]
    assert (brace.kind, brace.char) == ("stretch", "⏟")


def places(formula: str) -> list[str]:
    return [box.place for box in draw(formula)]


def test_places_follow_the_structure() -> None:
    assert places(r"\frac{a}{b}") == ["mfrac#0:0", "mfrac#0:1", "mfrac#0:-"]
    assert sorted(places("x_i^2")) == ["msubsup#0:0", "msubsup#0:1", "msubsup#0:2"]
    assert places(r"\sqrt{x_1}") == [
        "msqrt#0:-",
        "msqrt#0:0/msub#1:0",
        "msqrt#0:0/msub#1:1",
        "msqrt#0:-",
    ]
    assert set(places(r"\sqrt[3]{x}")) == {"mroot#0:-", "mroot#0:0", "mroot#0:1"}
    assert places(r"\begin{matrix}a&b\\c&d\end{matrix}") == [
        f"mtable#0:{row},{column}" for row in (0, 1) for column in (0, 1)
    ]
    assert places(r"a \\ b") == ["mtable#0:0,0", "mtable#0:1,0"]
    tensor = {box.char: box.place[-1] for box in draw(r"\prescript{a}{b}{X}^c_d")}
    assert tensor == {"a": "4", "b": "3", "X": "0", "c": "2", "d": "1"}


# A construct, and the same with pieces of it in colour.
COLORED = {
    "a+b": r"a C{+} b",
    "a=-b": r"C{a}C{=}C{-}C{b}",
    r"\hat{x}y": r"C{\hat{C{x}}} y",
    r"\frac{a}{b}\log c": r"C{\frac{a}{b}} C{\log} c",
    r"\sqrt[3]{x}": r"C{\sqrt[3]{x}}",
    r"\sum_{i}^n\int_0^1\lim_x": r"C{\sum}_{C{i}}^{C{n}} C{\int}_0^1 C{\lim}_x",
    r"f(x),|y|": r"f C{(}x C{)}C{,} C{|}y C{|}",
    r"f'": r"C{f}'",
    r"\underbrace{a}_b": r"C{\underbrace{a}}_b",
    r"\operatorname{foo} x": r"C{\operatorname{foo}} x",
    r"\mathrm{ab}": r"\mathrm{C{a}C{b}}",
    r"\left\{\frac ab\middle|c\right)": r"\left C{\{}\frac ab\middle C{|}c\right C{)}",
    r"\bigl(x\bigr)": r"C{\bigl(} x C{\bigr)}",
    r"\mathop{A}_b\prod\limits_i": r"C{\mathop{A}}_b C{\prod}\limits_i",
}


@pytest.mark.parametrize("plain", COLORED)
def test_colour_moves_nothing(plain: str) -> None:
    colored = draw(COLORED[plain].replace("C{", r"\mathcolor{#010203}{"))
    assert [(b.kind, b.char) for b in colored] == [(b.kind, b.char) for b in draw(plain)]
    for one, other in zip(draw(plain), colored, strict=True):
        assert one.x0 == pytest.approx(other.x0, abs=2e-4)
        assert one.y0 == pytest.approx(other.y0, abs=2e-4)
    assert "#010203" in {box.color for box in colored}


def test_colours_of_every_spelling() -> None:
    formula = (
        r"\color{red}a \textcolor{green}{b}\mathcolor[RGB]{1,2,3}{c}\mathcolor[HTML]{0A0B0C}{d}"
    )
    assert [box.color for box in draw(formula)] == ["#ff0000", "#00ff00", "#010203", "#0a0b0c"]
    left, _, right = draw(r"\delimcolor{#010203}\left( x \delimcolor{#040506}\right)")
    assert (left.color, right.color) == ("#010203", "#040506")


def test_spellings_of_one_picture() -> None:
    for first, second in (
        (r"\ne", r"\neq"),
        (r"\bm{x}", r"\boldsymbol{x}"),
        ("≤", r"\leq"),
        ("f''", r"f^{\prime\prime}"),
        (r"\mathit{ab}_c", r"\mathit{a b}_c"),
    ):
        assert [(b.char, b.font, b.x0) for b in draw(first)] == [
            (b.char, b.font, b.x0) for b in draw(second)
        ]


TOKENS = [
    *"abxy012+-=<>()[]|.,'!&_^{}", "{", "}", "\\\\", r"\frac", r"\sqrt", r"\left(", r"\right)",
    r"\left.", r"\right|", r"\sum", r"\int", r"\limits", r"\hat", r"\overline", r"\underbrace",
    r"\begin{matrix}", r"\end{matrix}", r"\begin{array}{c|c}", r"\end{array}", r"\hline",
    r"\text{a}", r"\mathbb", r"\mathcal", r"\not", r"\color{red}", r"\mathcolor{#123456}", r"\over",
    r"\choose", r"\rm", r"\Huge", r"\phantom", r"\rule{1em}{1em}", r"\xrightarrow", r"\cancel",
    r"\boxed", r"\tag", r"\ce", r"\def", r"\a", "#1", "$", "%", "~", "\u202e", "é", "漢",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(TOKENS), max_size=20).map(" ".join), max_size=20))
def test_anything_is_answered_and_every_box_is_somewhere(formulas: list[str]) -> None:
    engine = get_engine()
    for result, picture in zip(engine.draw(formulas), engine.svg(formulas), strict=True):
        assert isinstance(result, Failure) == isinstance(picture, Failure)
        if isinstance(result, Drawing):
            assert all(box.x0 <= box.x1 and box.y0 <= box.y1 for box in result.boxes)
            assert result.height + result.depth >= 0
