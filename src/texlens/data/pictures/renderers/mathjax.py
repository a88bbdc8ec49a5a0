"""Formulas set by MathJax in V8 and rasterised by resvg: it works wherever TexLens does."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import cv2
import numpy as np

from texlens.data.pictures.renderers.base import Grey, Rendered, Style
from texlens.data.pictures.renderers.pdftex import (
    EM_INCHES,
    IM2LATEX_SHARE,
    finished,
    resolutions,
)
from texlens.engine import Failure, fonts
from texlens.render import Size, png_many

# MathJax's fonts, by weight; the first three are shaped like TeX's Computer Modern.
MATHJAX_FONTS: Final[dict[str, int]] = {"tex": 6, "newcm": 4, "modern": 3, "stix2": 4, "termes": 3}
_LIKE_COMPUTER_MODERN: Final = ("tex", "newcm", "modern")


class MathJax:
    """See `Renderer`."""

    def missing(self) -> str | None:
        """It is always there."""
        return None

    def choose_style(self, random: Random) -> Style:
        """One of the fonts, often in im2latex's style."""
        present = {font: MATHJAX_FONTS.get(font, 1) for font in fonts()}
        (font,) = random.choices(list(present), list(present.values()))
        hard = font in _LIKE_COMPUTER_MODERN and random.random() < IM2LATEX_SHARE
        display = hard or random.random() < 0.8
        return Style("mathjax", font, like_im2latex=hard, display=display)

    def render(
        self, formulas: Sequence[str], style: Style, randoms: Sequence[Random]
    ) -> list[Rendered]:
        """See `Renderer`: the size of smooth pictures is random."""
        dpi = resolutions(style, randoms)
        sizes = [Size(em_px=one * EM_INCHES) for one in dpi]
        pages = [
            one.message if isinstance(one, Failure) else _grey(one)
            for one in png_many(formulas, sizes, display=style.display, font=style.font)
        ]
        return finished(pages, dpi, formulas, style, randoms)


def _grey(png: bytes) -> Grey:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
