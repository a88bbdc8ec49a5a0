"""The synthetic source: every kind, from a list or without one, the same for any chunks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from texlens.data.corpora import open_corpus
from texlens.data.corpora.base import Locator
from texlens.data.corpora.synthetic import Synthetic
from texlens.data.items import Drop, RawItem
from texlens.errors import InputError
from texlens.records import Kind

KINDS: list[Kind] = ["printed", "screen", "handwritten"]


@pytest.mark.parametrize("kind", KINDS)
def test_items_do_not_depend_on_the_chunks(kind: Kind) -> None:
    source = Synthetic(kind, count=6, seed=3)
    locators = list(source.locators())
    together = list(source.load(locators))
    apart = [item for locator in locators for item in source.load([locator])]
    assert together == apart
    items = [item for item in together if isinstance(item, RawItem)]
    assert len(items) >= 5
    assert len({item.latex for item in items}) > 3
    for item in items:
        assert (item.kind, item.source) == (kind, source.name)
        with Image.open(io.BytesIO(item.image)) as picture:
            assert picture.convert("L").getextrema() != (255, 255)
    assert together != list(Synthetic(kind, count=6, seed=4).load(locators))


def test_handwriting_is_labelled_as_synthetic() -> None:
    (item,) = Synthetic("handwritten", count=1).load([Locator("synthetic-hand-0", (0, "x + y"))])
    assert isinstance(item, RawItem)
    assert item.source == "synthetic-hand"
    assert item.id.startswith("synthetic-hand-")
    assert item.latex == "x + y"


def test_a_list_is_rendered_once_and_then_recombined(tmp_path: Path) -> None:
    listed = tmp_path / "formulas.txt"
    listed.write_text("x ^ { 2 } = y\n\n\\frac { a } { b } + c = 0\r\n\\nosuchcommand\n")
    source = open_corpus("synthetic", [listed], count=6)
    locators = list(source.locators())
    assert [locator.place[1] for locator in locators] == [
        "x ^ { 2 } = y", r"\frac { a } { b } + c = 0", r"\nosuchcommand", None, None, None,
    ]  # fmt: skip
    items = list(source.load(locators))
    assert len(items) == 6
    assert isinstance(items[2], Drop)
    assert items[2].step == "draw"
    assert sum(isinstance(item, RawItem) for item in items) >= 4
    assert len(list(open_corpus("synthetic", [listed]).locators())) == 3


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        open_corpus("synthetic", [], count=0)
    with pytest.raises(InputError, match="Cannot read"):
        list(Synthetic("printed", (tmp_path / "missing.txt",)).locators())
