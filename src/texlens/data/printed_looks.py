"""The looks of a printed formula: fonts, sizes and ink, by TeX where it is installed, else MathJax.

More than half of the pictures by TeX have the look of im2latex-100k, found by rendering its texts
and comparing: 10-point Computer Modern at 200 dpi, every pixel that ink touches made black, then
halved with a Lanczos filter, as its authors' preprocessing did. The rest are smooth pages in other
fonts and sizes. Blur, noise, rotation and the like are `degrade`'s.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.render.tex import TexFailure, render_tex, tex_available

Grey = NDArray[np.uint8]

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


def draw_printed(
    formulas: Sequence[str],
    random: Random,
    *,
    renderer: Literal["auto", "tex", "mathjax"] = "auto",
) -> Iterator[Printed]:
    """Draw a batch of formulas in one look, drawn by chance.

    Formulas that cannot be drawn without an error, and pictures that are blank or larger than
    `MAX_WIDTH_PX` x `MAX_HEIGHT_PX`, are left out; the order is kept.

    Args:
        formulas: LaTeX; for speed some hundreds at a time.
        random: source of all choices; the same state gives the same pictures.
        renderer: ``auto`` takes TeX when it is installed.

    Raises:
        TexlensError: ``renderer`` is ``tex`` and TeX is not installed.
    """
    if renderer == "mathjax" or (renderer == "auto" and not tex_available()):
        drawn = _by_mathjax(formulas, random)
    elif random.random() < IM2LATEX_SHARE:
        drawn = _like_im2latex(formulas, random)
    else:
        drawn = _smooth(formulas, random)
    for formula, (grey, dpi) in zip(formulas, drawn, strict=True):
        cropped = None if grey is None else crop_to_ink(grey)
        if cropped is None:
            continue
        height, width = cropped.shape
        if width <= MAX_WIDTH_PX and height <= MAX_HEIGHT_PX:
            yield Printed(cropped, dpi * EM_INCHES, formula)


def _like_im2latex(formulas: Sequence[str], random: Random) -> list[tuple[Grey | None, float]]:
    return [
        (
            None if isinstance(page, TexFailure) else im2latex_look(page, random.randint(236, 253)),
            100.0,
        )
        for page in render_tex(formulas, dpi=200.0)
    ]


def _smooth(formulas: Sequence[str], random: Random) -> list[tuple[Grey | None, float]]:
    (font,) = random.choices(list(SMOOTH_FONTS), list(SMOOTH_FONTS.values()))
    dpi = [_log_uniform(random, *SMOOTH_DPI) for _ in formulas]
    pages = render_tex(formulas, font=font, dpi=dpi, display=random.random() < 0.8)
    return [
        (None if isinstance(page, TexFailure) else page, resolution)
        for page, resolution in zip(pages, dpi, strict=True)
    ]


def _by_mathjax(formulas: Sequence[str], random: Random) -> list[tuple[Grey | None, float]]:
    from texlens.render import Size, png_many

    dpi = _log_uniform(random, *SMOOTH_DPI)
    pictures = png_many(formulas, Size(dpi=dpi), display=random.random() < 0.8)
    return [
        (np.asarray(Image.open(io.BytesIO(p)).convert("L")) if isinstance(p, bytes) else None, dpi)
        for p in pictures
    ]


def _log_uniform(random: Random, low: float, high: float) -> float:
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
