"""The styles of a printed formula: fonts, sizes and ink, by TeX where it is installed, else MathJax.

More than half of the pictures by TeX have the style of im2latex-100k, found by rendering its texts
and comparing: 10-point Computer Modern at 200 dpi, every pixel that ink touches made black, then
halved with a Lanczos filter, as its authors' preprocessing did. The rest are smooth pages in other
fonts and sizes. Blur, noise, rotation and the like are `degrade`'s.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.render.tex import TexFailure, render_tex, tex_available

Grey = NDArray[np.uint8]
Renderer = Literal["auto", "tex", "mathjax"]

EM_INCHES: Final = 10 / 72.27  # an em of 10-point type
IM2LATEX_SHARE: Final = 0.55
SMOOTH_DPI: Final = (80.0, 200.0)
# Fonts of the smooth pictures, by weight. Bold is left out: there \mathbf could not be seen.
SMOOTH_FONTS: Final[dict[str, int]] = {
    "cm": 8, "newtx": 2, "newpx": 2, "fourier": 1, "kpfonts": 1, "stix2": 2, "euler": 1,
    "mathptmx": 2, "mathpazo": 2, "arev": 1, "cmbright": 1, "iwona": 1, "kurier": 1, "charter": 1,
    "libertinus": 1, "antykwa": 1, "newcentury": 1, "cm-sans": 1,
}  # fmt: skip
MAX_WIDTH_PX: Final = 1400
MAX_HEIGHT_PX: Final = 420
_INK = 32  # a pixel this much darker than the paper is ink


@dataclass(frozen=True, slots=True)
class Printed:
    """One drawn formula: grey values (height, width), 255 white, cropped to the ink."""

    grey: Grey
    pixels_per_em: float
    formula: str


@dataclass(frozen=True, slots=True)
class Style:
    """What the pictures of one batch have in common."""

    renderer: Literal["tex", "mathjax"]
    font: str = "cm"
    like_im2latex: bool = False
    display: bool = True


def choose_style(random: Random, renderer: Renderer = "auto") -> Style:
    """A style by chance. ``auto`` takes TeX when it is installed."""
    if renderer == "mathjax" or (renderer == "auto" and not tex_available()):
        return Style("mathjax", display=random.random() < 0.8)
    if random.random() < IM2LATEX_SHARE:
        return Style("tex", like_im2latex=True)
    (font,) = random.choices(list(SMOOTH_FONTS), list(SMOOTH_FONTS.values()))
    return Style("tex", font, display=random.random() < 0.8)


def draw_printed(
    formulas: Sequence[str], style: Style, randoms: Sequence[Random]
) -> list[Printed | str]:
    """Draw a batch of formulas; for each its picture, or the reason why there is none.

    Args:
        formulas: LaTeX; for speed some hundreds at a time.
        style: what the batch has in common.
        randoms: one for each formula, the source of its size: the same state gives the same
            picture, whatever else is in the batch.

    Raises:
        TexlensError: the style needs TeX and it is not installed.
    """
    if style.renderer == "mathjax":
        drawn = _by_mathjax(formulas, style, randoms)
    elif style.like_im2latex:
        drawn = [
            (
                page if isinstance(page, str) else im2latex_look(page, random.randint(236, 253)),
                100.0,
            )
            for page, random in zip(_pages(formulas, style, 200.0), randoms, strict=True)
        ]
    else:
        dpi = [_smooth_dpi(random) for random in randoms]
        drawn = list(zip(_pages(formulas, style, dpi), dpi, strict=True))
    return [
        _printed(grey, dpi, formula) for (grey, dpi), formula in zip(drawn, formulas, strict=True)
    ]


def _pages(formulas: Sequence[str], style: Style, dpi: float | Sequence[float]) -> list[Grey | str]:
    pages = render_tex(formulas, font=style.font, dpi=dpi, display=style.display)
    return [page.message if isinstance(page, TexFailure) else page for page in pages]


def _by_mathjax(
    formulas: Sequence[str], style: Style, randoms: Sequence[Random]
) -> list[tuple[Grey | str, float]]:
    from texlens.render import Size, png

    drawn: list[tuple[Grey | str, float]] = []
    for formula, random in zip(formulas, randoms, strict=True):
        dpi = _smooth_dpi(random)
        picture = png(formula, Size(dpi=dpi), display=style.display)
        if isinstance(picture, bytes):
            drawn.append((np.asarray(Image.open(io.BytesIO(picture)).convert("L")), dpi))
        else:
            drawn.append((picture.message, dpi))
    return drawn


def _printed(grey: Grey | str, dpi: float, formula: str) -> Printed | str:
    if isinstance(grey, str):
        return grey
    cropped = crop_to_ink(grey)
    if cropped is None:
        return "the picture is blank"
    height, width = cropped.shape
    if width > MAX_WIDTH_PX or height > MAX_HEIGHT_PX:
        return f"the picture of {width} x {height} pixels is too large"
    return Printed(cropped, dpi * EM_INCHES, formula)


def _smooth_dpi(random: Random) -> float:
    low, high = SMOOTH_DPI
    return math.exp(random.uniform(math.log(low), math.log(high)))


def im2latex_look(page: Grey, threshold: int) -> Grey:
    """A page drawn at twice the resolution wanted, with the hard, heavy ink of im2latex-100k.

    ``threshold``: pixels darker than this become black, 254 all that any ink touches. The pictures
    of im2latex-100k have about 250.
    """
    height, width = (side + side % 2 for side in page.shape)
    ink = np.full((height, width), 255, np.uint8)
    ink[: page.shape[0], : page.shape[1]][page < threshold] = 0
    half = Image.fromarray(ink).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    return np.asarray(half)


def crop_to_ink(grey: Grey) -> Grey | None:
    """The picture without its margins, or ``None`` when it is blank."""
    ink = grey < 255 - _INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
