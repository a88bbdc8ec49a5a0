"""Pictures by a real Chromium: what is not shown as its LaTeX has it is dropped, and nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from texlens.data.pictures.printed import ListedShards
from texlens.data.pictures.renderers import (
    BROWSER_RENDERERS,
    RENDERERS,
    Dropped,
    FormulaPicture,
    Style,
    browser,
    render_formulas,
)
from texlens.data.pictures.shards import write_shards
from texlens.engine import get_engine

pytestmark = pytest.mark.slow
FONT = {"katex": "KaTeX", "mathml": "STIX Two Math"}


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    for name in BROWSER_RENDERERS:
        if reason := RENDERERS[name].missing():
            pytest.skip(reason)
    yield
    browser.close_browser()


def style(renderer: str, **settings: object) -> Style:
    return Style(renderer, FONT.get(renderer, "newcm"), **settings)  # type: ignore[arg-type]


def render(formulas: list[str], one: Style) -> list[FormulaPicture | Dropped]:
    return render_formulas(formulas, one, [Random(n) for n in range(len(formulas))])


@pytest.mark.parametrize("renderer", BROWSER_RENDERERS)
def test_a_formula_has_the_size_that_mathjax_computes(renderer: str) -> None:
    formula = r"\frac { a + b } { c } = \sqrt { x }"
    (picture,) = render([formula], style(renderer, size=20.0, scale=2.0))
    assert isinstance(picture, FormulaPicture)
    assert 40 <= picture.pixels_per_em <= 50  # KaTeX sets 1.21 of the text around it
    (drawing,) = get_engine().draw([formula])
    height, width = picture.grey.shape
    assert width / picture.pixels_per_em == pytest.approx(drawing.width, rel=0.2)
    assert height / picture.pixels_per_em == pytest.approx(drawing.height + drawing.depth, rel=0.2)


@pytest.mark.parametrize("renderer", BROWSER_RENDERERS)
def test_what_cannot_be_shown_is_dropped_with_its_reason(renderer: str) -> None:
    formulas = ["a + b", r"\unknowncommand x", "\\text{中文}", r"\frac{1}{", "c"]
    rendered = render(formulas, style(renderer))
    assert [isinstance(one, Dropped) for one in rendered] == [False, True, True, True, False]
    unknown, foreign = rendered[1], rendered[2]
    assert isinstance(unknown, Dropped)
    assert isinstance(foreign, Dropped)
    assert unknown.reason.startswith("not typeset: ")
    assert foreign.reason.startswith("missing glyphs: ")


@pytest.mark.parametrize("renderer", ["katex", "mathml"])
def test_a_dark_page_gives_the_same_ink(renderer: str) -> None:
    light, dark = (
        render([r"x ^ { 2 } + \alpha"], style(renderer, size=24.0, ink=ink, paper=paper))[0]
        for ink, paper in (("#000000", "#ffffff"), ("#e6edf3", "#0d1117"))
    )
    assert isinstance(light, FormulaPicture)
    assert isinstance(dark, FormulaPicture)
    assert light.grey.min() == dark.grey.min() == 0
    assert dark.grey.shape == pytest.approx(light.grey.shape, abs=2)
    # Light ink is a little heavier on a screen.
    assert (255 - dark.grey.astype(int)).sum() == pytest.approx(
        (255 - light.grey.astype(int)).sum(), rel=0.25
    )


def test_a_browser_that_dies_loses_nothing() -> None:
    before = render(["a", "b"], style("katex"))
    os.kill(browser._browser()._process, signal.SIGKILL)
    after = render(["a", "b"], style("katex"))
    for one, other in zip(before, after, strict=True):
        assert isinstance(one, FormulaPicture)
        assert isinstance(other, FormulaPicture)
        assert np.array_equal(one.grey, other.grey)


def test_after_some_thousand_pictures_another_browser_makes_the_same_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser, "_PICTURES_A_BROWSER", 3)
    browser.close_browser()
    pictures, processes = [], []
    for _ in range(3):
        pictures.append(render(["a", "b"], style("katex")))
        processes.append(browser._open[os.getpid()]._process)
    browser.close_browser()
    assert processes[0] == processes[1] != processes[2]  # 2, 4 pictures; then a new one
    for one, other in zip(pictures[0], pictures[2], strict=True):
        assert isinstance(one, FormulaPicture)
        assert isinstance(other, FormulaPicture)
        assert np.array_equal(one.grey, other.grey)


def test_a_formula_that_hangs_the_page_is_dropped_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    html = browser._html
    loop = "texlens.typeset.katex = ((set) => (f, d, p) => { while (f === 'z'); set(f, d, p); })(texlens.typeset.katex);"
    monkeypatch.setattr(browser, "_html", lambda one: html(one) + f"<script>{loop}</script>")
    monkeypatch.setattr(browser, "_SECONDS", 6.0)
    browser.close_browser()
    rendered = render(["a", "z", "b"], style("katex"))
    browser.close_browser()
    assert [isinstance(one, Dropped) for one in rendered] == [False, True, False]
    assert isinstance(rendered[1], Dropped)
    assert "took longer than 6 s" in rendered[1].reason


def test_any_number_of_processes_writes_the_same_shards(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(rf"x _ {{ {n} }} + \frac {{ {n} }} {{ y }}" for n in range(40)))
    source = ListedShards(path, 20, renderers=(("katex", 1.0), ("mathml", 1.0)))
    list(write_shards(source, tmp_path / "one", 2))
    list(write_shards(source, tmp_path / "two", 2, workers=2))
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
