"""The engine: what it draws, what it refuses, and that nothing breaks it."""

from __future__ import annotations

import io
import multiprocessing
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from texlens.engine import Box, Drawing, Failure, get_engine
from texlens.render import Size, png, png_many

# One of every kind of structure; the pictures of their boxes were looked at, too.
KINDS = {
    "fraction": r"\frac{a+b}{\dfrac{c}{d}}",
    "scripts": r"x_i^{2}+y^{n_k}_{j}",
    "root": r"\sqrt[3]{\frac{1}{1+\sqrt{x}}}",
    "delimiters": r"\left(\frac{\frac ab}{\frac{c}{\frac de}}\right]\Bigl\{ \left\langle \sum_i \right\|",
    "pieces": r"\begin{pmatrix}a&b\\c&d\\e&f\\g&h\\i&j\end{pmatrix}",
    "cases": r"f(x)=\begin{cases}1 & x>0\\ 0 & \text{else}\end{cases}",
    "accents": r"\hat x\widehat{abc}\bar y\vec v\dot z\tilde{n}\overline{AB}\underline{cd}y'''",
    "operators": r"\sum_{i=1}^{n}\int_0^\infty \lim_{x\to0}\prod",
    "text": r"\text{if } x\not= y \mathrel{\not\in}",
    "arrows": r"A\xrightarrow[\text{below}]{\text{above}}B\stackrel{!}{=}\overset{a}{b}",
    "alphabets": r"\mathbb{R}\mathcal{A}\mathscr{F}\mathfrak{g}\mathbf{x}\boldsymbol{\alpha}\bm{y}",
    "lines": r"\begin{array}{|c|c|}\hline a&b\\\hline c&d\\\hline\end{array}",
    "aligned": r"\begin{aligned}a&=b+c\\&=d\tag{3}\end{aligned}",
    "braces": r"\underbrace{a+b+c+d+e+f}_{n}\overbrace{x}^{y}",
    "colours": r"\color{red}{x}\mathcolor{#00ff00}{+}\textcolor{blue}{y}\boxed{E=mc^2}\cancel{x}",
    "chemistry": r"\ce{2H2O -> H3O+ + OH-}",
}

HOSTILE = {
    "1 MB": "x+" * 500_000,
    "braces": "{" * 10_000 + "x" + "}" * 10_000,
    "fewer braces": "{" * 9_000 + "}" * 9_000,
    "fractions": r"\frac{1}{" * 1_500 + "x" + "}" * 1_500,
    "doubling": r"\def\a{\a\a}\a",
    "doubling 30 times": r"\def\a#1{#1#1}" + r"\a{" * 30 + "x" + "}" * 30,
    "growing argument": r"\newcommand{\x}[1]{\x{#1#1}}\x{aaaaaaaaaaaa}",
    "edef": r"\edef\x{\x}\x",
    "slow": "x+" * 45_000,
    "NUL": "a\0b",
    "surrogate": "a\ud800b",
    "right to left": "a\u202eb",
    "input": r"\input{/etc/passwd}",
    "write18": r"\write18{ls}",
    "href": r"\href{javascript:alert(1)}{x}",
    "rule": r"\rule{100000em}{100000em}",
    "markup": r"</script><script>alert(1)</script>",
    "require": r"\require{html}\style{x}{y}",
}


def draw(formula: str) -> tuple[Box, ...]:
    drawing = get_engine().draw([formula])[0]
    assert isinstance(drawing, Drawing), drawing
    return drawing.boxes


@pytest.mark.parametrize("formula", KINDS.values(), ids=KINDS.keys())
def test_boxes_are_where_the_ink_is(formula: str) -> None:
    """The union of all boxes is the box of the black pixels, and each box holds ink."""
    em, margin = 50.0, 5
    drawing = get_engine().draw([formula])[0]
    picture = png(formula, Size(em_px=em, margin_px=margin))
    assert isinstance(drawing, Drawing)
    assert isinstance(picture, bytes)
    grey = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    rows, columns = np.nonzero(grey < 250)

    def pixels(x: float, y: float) -> tuple[float, float]:
        return x * em + margin, (y + drawing.height) * em + margin

    left, top = pixels(min(b.x0 for b in drawing.boxes), min(b.y0 for b in drawing.boxes))
    right, bottom = pixels(max(b.x1 for b in drawing.boxes), max(b.y1 for b in drawing.boxes))
    ink = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.allclose((left, top, right, bottom), ink, atol=2.0), (left, top, right, bottom, ink)
    for box in drawing.boxes:
        (x0, y0), (x1, y1) = pixels(box.x0, box.y0), pixels(box.x1, box.y1)
        part = grey[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
        assert part.size, box
        assert part.min() < 200, box


def test_what_a_box_says() -> None:
    numerator, denominator, bar = draw(r"\frac{a}{\mathbf{b}}")
    assert (numerator.char, numerator.font, numerator.token) == ("a", "italic", "a")
    assert (denominator.char, denominator.font) == ("b", "bold")
    assert bar.kind == "rule"
    assert numerator.y1 < bar.y0 < bar.y1 < denominator.y0
    assert (numerator.place, denominator.place, bar.place) == tuple(
        f"mfrac#0:{part}" for part in "01-"
    )
    base, superscript, subscript = sorted(draw("x_i^2"), key=lambda box: "x2i".index(box.char))
    assert subscript.scale == superscript.scale < base.scale == 1.0
    assert superscript.y1 < subscript.y0
    root = draw(r"\sqrt[3]{x}")
    assert {box.kind for box in root} == {"radical", "glyph", "rule"}
    assert {box.place for box in root} == {"mroot#0:-", "mroot#0:0", "mroot#0:1"}
    assert [box.char for box in draw(r"\mathbb{R}\mathcal{L}\mathfrak{g}\mathsf{S}")] == [*"RLgS"]
    assert [box.font for box in draw(r"\mathbb{R}\mathcal{L}\mathfrak{g}\mathsf{S}")] == [
        "double-struck",
        "calligraphic",
        "fraktur",
        "sans-serif",
    ]
    cells = [box.place for box in draw(r"\begin{matrix}a&b\\c&d\end{matrix}")]
    assert cells == [f"mtable#0:{row},{column}" for row in (0, 1) for column in (0, 1)]


def test_colour_reaches_every_piece_and_moves_none() -> None:
    plain = draw(r"a = \sqrt{b} + \frac{c}{d}")
    colored = draw(r"a \mathcolor{#010203}{=} \mathcolor{#040506}{\sqrt{b}} + \frac{c}{d}")
    assert [(b.char, b.x0, b.x1) for b in plain] == [(b.char, b.x0, b.x1) for b in colored]
    assert [b.color for b in colored if b.char == "="] == ["#010203"]
    assert {b.color for b in colored if b.kind == "radical"} == {"#040506"}
    left, _, right = draw(r"\delimcolor{#010203}\left( x \delimcolor{#040506}\right)")
    assert (left.color, right.color) == ("#010203", "#040506")


def test_spellings_of_one_picture() -> None:
    for first, second in ((r"\ne", r"\neq"), (r"\bm{x}", r"\boldsymbol{x}"), ("≤", r"\leq")):
        assert [(b.char, b.font) for b in draw(first)] == [(b.char, b.font) for b in draw(second)]


def test_validity_and_position() -> None:
    engine = get_engine()
    fine, broken, unknown = engine.parse([r"\frac{a}{b}", r"x + \frac{a", r"\nonsense"])
    assert fine is None
    assert isinstance(broken, Failure)
    assert broken.position == 11
    assert isinstance(unknown, Failure)
    assert "nonsense" in unknown.message
    assert engine.tree(["x^2"])[0][0]["type"] == "supsub"
    assert "<msup" in str(engine.mathml(["x^2"])[0])


@pytest.mark.parametrize("formula", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_is_answered_in_time(formula: str) -> None:
    engine = get_engine()
    engine.draw(["x"])
    for call in (engine.parse, engine.draw, engine.svg, engine.mathml):
        start = time.monotonic()
        result = call([formula])[0]  # type: ignore[operator]
        # The limit is 1.2 s; a loaded machine takes a little longer to notice.
        assert time.monotonic() - start < 4.0
        # A box may name its source; a page shows only SVG and MathML.
        text = result[0] if isinstance(result, tuple) else result
        if isinstance(text, str):
            assert "javascript:" not in text
            assert "<script" not in text
    assert isinstance(engine.draw(["y"])[0], Drawing)


def test_only_the_guilty_formula_of_a_batch_fails() -> None:
    results = get_engine().draw(["a", HOSTILE["slow"], "b", HOSTILE["fewer braces"], "c"])
    assert [isinstance(result, Drawing) for result in results] == [True, False, True, False, True]


def test_definitions_do_not_reach_the_next_formula() -> None:
    engine = get_engine()
    engine.draw([r"\def\mine{x}\mine", r"\newcommand{\other}{y}\other"])
    assert isinstance(engine.draw([r"\mine"])[0], Failure)
    assert isinstance(engine.draw([r"\other"])[0], Failure)
    assert isinstance(engine.parse([r"\gdef\third{z}"])[0], type(None))
    assert isinstance(engine.parse([r"\third"])[0], Failure)


def test_batches_keep_their_order() -> None:
    formulas = [f"x_{{{n}}}" for n in range(150)]
    drawn = get_engine().draw(formulas)
    for n, drawing in enumerate(drawn):
        assert isinstance(drawing, Drawing)
        assert "".join(box.char for box in drawing.boxes) == f"x{n}"
    assert len(png_many(formulas[:3])) == 3


def _draw_in_child(formula: str) -> int:
    return len(draw(formula))


@pytest.mark.slow
def test_spawned_workers_and_exit() -> None:
    draw("x")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_draw_in_child, ["ab", "abc"]) == [2, 3]
    code = "from texlens.engine import get_engine; get_engine().draw(['x']); print('done')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (result.stdout, result.stderr, result.returncode) == ("done\n", "", 0)
