"""Printed pictures and shards: the same by the same seed, in the documented format."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from texlens.data.pictures.printed import FormulaSource, Plan, main, write_shards
from texlens.data.pictures.printed_styles import (
    Printed,
    Style,
    choose_style,
    crop_to_ink,
    draw_printed,
    im2latex_look,
)
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.render.tex import tex_available

needs_tex = pytest.mark.skipif(not tex_available(), reason="TeX (pdflatex) is not installed")
FORMULAS = [r"x ^ { 2 }", r"\frac { a } { b }", r"\sum _ { n } \alpha _ { n }"]


def randoms(n: int) -> list[Random]:
    return [Random(i) for i in range(n)]


@pytest.mark.parametrize(
    "look",
    [
        Style("mathjax"),
        pytest.param(Style("tex", like_im2latex=True), marks=needs_tex),
        pytest.param(Style("tex", "mathpazo"), marks=needs_tex),
    ],
)
def test_pictures_do_not_depend_on_their_batch(look: Style) -> None:
    together = draw_printed([*FORMULAS, r"\frac {"], look, randoms(4))
    assert isinstance(together[3], str)
    for number in (0, 2):
        (alone,) = draw_printed([FORMULAS[number]], look, [Random(number)])
        batch = together[number]
        assert isinstance(alone, Printed)
        assert isinstance(batch, Printed)
        assert np.array_equal(alone.grey, batch.grey)
        assert alone.pixels_per_em == batch.pixels_per_em
        ink = alone.grey < 255 - 32
        assert all(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_size_is_in_pixels_an_em() -> None:
    drawn = [draw_printed(["x"], Style("mathjax"), [Random(seed)])[0] for seed in range(8)]
    ratios = [d.grey.shape[0] / d.pixels_per_em for d in drawn if isinstance(d, Printed)]
    assert len(ratios) == 8
    assert all(0.4 < ratio < 0.56 for ratio in ratios)  # an x is 0.43 em high, plus a soft edge
    assert len({d.pixels_per_em for d in drawn if isinstance(d, Printed)}) == 8


def test_im2latex_look_is_half_as_large_and_hard() -> None:
    page = np.full((41, 60), 255, np.uint8)
    page[10:30, 20:40] = 200  # pale ink
    look = im2latex_look(page, threshold=250)
    assert look.shape == (21, 30)
    assert look[10, 15] == 0  # pale ink is black
    assert look[0, 0] == 255
    assert (im2latex_look(page, threshold=150) == 255).all()


def test_crop_to_ink() -> None:
    page = np.full((20, 30), 255, np.uint8)
    assert crop_to_ink(page) is None
    page[5, 7] = page[8, 9] = 0
    cropped = crop_to_ink(page)
    assert cropped is not None
    assert cropped.shape == (4, 3)


@pytest.mark.skipif(tex_available(), reason="TeX is installed")
def test_without_tex_mathjax_draws() -> None:
    assert {choose_style(Random(seed)).renderer for seed in range(9)} == {"mathjax"}


def plan(folder: Path, sources: list[str], **settings: int) -> Plan:
    return Plan(tuple(map(FormulaSource.parse, sources)), folder, 12, **settings)


def test_shards_have_the_documented_format(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(FORMULAS) + "\n\n")
    shards = plan(tmp_path / "out", [f"list:1:{listed}"], seed=5)
    (report,) = write_shards(shards, 1)
    assert (report.pictures, report.left_out) == (12, 0)
    (path,) = (tmp_path / "out").iterdir()
    with np.load(path) as arrays:
        pixels, heights, widths = arrays["pixels"], arrays["heights"], arrays["widths"]
        formulas = arrays["formulas"].tobytes().decode().split("\n")
        assert pixels.dtype == np.uint8
        assert len(pixels) == int((heights * widths).sum())
        assert len(arrays["px_per_em"]) == len(heights) == len(formulas) == 12
        assert (arrays["px_per_em"] > 5).all()
    assert set(formulas) <= set(map(normalize, FORMULAS))
    first = pixels[: heights[0] * widths[0]].reshape(heights[0], widths[0])
    assert first.min() < 128 < first.max()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_any_number_of_processes_writes_the_same_and_goes_on(tmp_path: Path) -> None:
    sources = ["grammar:1"]
    list(write_shards(plan(tmp_path / "one", sources), 3))
    list(write_shards(plan(tmp_path / "two", sources), 3, processes=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (tmp_path / "two" / "shard-00001.npz").unlink()
    again = list(write_shards(plan(tmp_path / "two", sources), 3))
    assert [report.number for report in again] == [1]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_short_formulas_come_first(tmp_path: Path) -> None:
    growing = plan(tmp_path, ["grammar:1"], growing=4, first_tokens=10, max_tokens=90)
    assert [growing.token_limit(n) for n in range(6)] == [10, 30, 50, 70, 90, 90]
    main(
        ["--out", str(tmp_path), "--pictures", "10", "--per-shard", "10", "--processes", "1",
         "--source", "grammar:1", "--growing", "4", "--first-tokens", "10"]
    )  # fmt: skip
    with np.load(tmp_path / "shard-00000.npz") as arrays:
        formulas = arrays["formulas"].tobytes().decode().split("\n")
    assert all(len(formula.split(" ")) <= 10 for formula in formulas)


@pytest.mark.parametrize(
    "source", ["nothing", "list:1", "grammar:1:file.txt", "list:x:file.txt", "list:1:missing.txt"]
)
def test_a_bad_source_is_one_sentence_and_writes_nothing(tmp_path: Path, source: str) -> None:
    with pytest.raises(InputError):
        list(write_shards(plan(tmp_path / "out", [source]), 1, processes=2))
    assert not (tmp_path / "out").exists()
