"""Formulas in fonts of matplotlib: the same for any chunks, refusals with their reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from texlens.data.corpora import open_corpus
from texlens.data.corpora.unseen_fonts import FONTS, UnseenFonts, _render
from texlens.data.items import Drop, RawItem
from texlens.errors import InputError


def test_items_do_not_depend_on_the_chunks() -> None:
    source = UnseenFonts(count=16, seed=3)
    locators = list(source.locators())
    together = list(source.load(locators))
    assert together[5:9] == list(source.load(locators[5:9]))
    items = [item for item in together if isinstance(item, RawItem)]
    assert len(items) >= 10
    assert len({item.latex for item in items}) == len(items)
    for item in items:
        with Image.open(io.BytesIO(item.image)) as picture:
            grey = np.asarray(picture.convert("L"))
        assert grey.min() < 80
        assert (grey == 255).mean() > 0.5
    for drop in (item for item in together if isinstance(item, Drop)):
        assert drop.reason.startswith("mathtext: ")
    assert together != list(UnseenFonts(count=16, seed=4).load(locators))


def test_the_fonts_differ_and_what_cannot_be_set_is_refused() -> None:
    first, second = (_render("x + y", font, 100) for font in FONTS)
    assert first != second
    with pytest.raises(ValueError, match="begin"):
        _render(r"\begin{matrix} a \end{matrix}", FONTS[0], 100)


def test_options() -> None:
    assert open_corpus("unseen-fonts", [], count=3, seed=1) == UnseenFonts(3, 1)
    with pytest.raises(InputError, match="at least 1"):
        open_corpus("unseen-fonts", [], count=0)
