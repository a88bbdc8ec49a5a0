"""Printed formulas as pictures: fonts, sizes and ink, by TeX where it is installed, else MathJax.

More than half of the pictures by TeX have the style of im2latex-100k, found by rendering its texts
and comparing: 10-point Computer Modern at 200 dpi, every pixel that ink touches made black, then
halved with a Lanczos filter, as its authors' preprocessing did. The rest are smooth pages in other
fonts and sizes. Blur, noise, rotation and the like are in `augmentation`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.shards import FormulaPicture, Grey, ShardMaker
from texlens.engine import Failure, fonts
from texlens.errors import InputError
from texlens.images import crop_to_ink
from texlens.render.pdflatex import tex_available
from texlens.render.tex import FORMULAS_PER_RUN, render_tex

EM_INCHES: Final = 10 / 72.27  # an em of 10-point type
IM2LATEX_SHARE: Final = 0.55
SMOOTH_DPI: Final = (80.0, 200.0)
# Fonts of the smooth pictures, by weight. Bold is left out: it would hide \mathbf.
SMOOTH_FONTS: Final[dict[str, int]] = {
    "cm": 8, "newtx": 2, "newpx": 2, "fourier": 1, "kpfonts": 1, "stix2": 2, "euler": 1,
    "mathptmx": 2, "mathpazo": 2, "arev": 1, "cmbright": 1, "iwona": 1, "kurier": 1, "charter": 1,
    "libertinus": 1, "antykwa": 1, "newcentury": 1, "cm-sans": 1,
}  # fmt: skip
# MathJax's fonts, by weight; the first three are shaped like TeX's Computer Modern.
MATHJAX_FONTS: Final[dict[str, int]] = {"tex": 6, "newcm": 4, "modern": 3, "stix2": 4, "termes": 3}
_LIKE_COMPUTER_MODERN: Final = ("tex", "newcm", "modern")
MAX_WIDTH_PX: Final = 1400
MAX_HEIGHT_PX: Final = 420
_TRIES: Final = 10_000  # to sample a formula that is short enough


@dataclass(frozen=True, slots=True)
class Style:
    """What the pictures of one batch have in common."""

    renderer: Literal["tex", "mathjax"]
    font: str  # of `render.tex.FONTS`, or of MathJax
    like_im2latex: bool = False
    display: bool = True


def choose_style(random: Random) -> Style:
    """A random style; MathJax renders where TeX is not installed."""
    if not tex_available():
        present = {font: MATHJAX_FONTS.get(font, 1) for font in fonts()}
        (font,) = random.choices(list(present), list(present.values()))
        hard = font in _LIKE_COMPUTER_MODERN and random.random() < IM2LATEX_SHARE
        return Style("mathjax", font, hard, display=hard or random.random() < 0.8)
    if random.random() < IM2LATEX_SHARE:
        return Style("tex", "cm", like_im2latex=True)
    (font,) = random.choices(list(SMOOTH_FONTS), list(SMOOTH_FONTS.values()))
    return Style("tex", font, display=random.random() < 0.8)


def render_printed(
    formulas: Sequence[str], style: Style, randoms: Sequence[Random]
) -> list[FormulaPicture | str]:
    """Render a batch of formulas; for each its picture, or the reason why there is none.

    Args:
        formulas: LaTeX; for speed some hundreds at a time.
        style: what the batch has in common.
        randoms: one for each formula, the source of its size: the same state gives the same
            picture, whatever else is in the batch.

    Raises:
        TexlensError: the style needs TeX and it is not installed.
    """
    render = _by_mathjax if style.renderer == "mathjax" else _by_tex
    dpi = [200.0 if style.like_im2latex else _smooth_dpi(random) for random in randoms]
    pages = render(formulas, style, dpi)
    if style.like_im2latex:
        dpi = [100.0] * len(formulas)  # halved
        pages = [
            page if isinstance(page, str) else like_im2latex(page, random.randint(236, 253))
            for page, random in zip(pages, randoms, strict=True)
        ]
    return list(map(_cropped, pages, dpi, formulas))


def _by_tex(formulas: Sequence[str], style: Style, dpi: Sequence[float]) -> list[Grey | str]:
    pages = render_tex(formulas, font=style.font, dpi=dpi, display=style.display)
    return [page.message if isinstance(page, Failure) else page for page in pages]


def _by_mathjax(formulas: Sequence[str], style: Style, dpi: Sequence[float]) -> list[Grey | str]:
    from texlens.render import Size, png

    pages: list[Grey | str] = []
    for formula, resolution in zip(formulas, dpi, strict=True):
        page = png(formula, Size(dpi=resolution), display=style.display, font=style.font)
        if isinstance(page, bytes):
            pages.append(np.asarray(Image.open(io.BytesIO(page)).convert("L")))
        else:
            pages.append(page.message)
    return pages


def _cropped(page: Grey | str, dpi: float, formula: str) -> FormulaPicture | str:
    if isinstance(page, str):
        return page
    cropped = crop_to_ink(page)
    if cropped is None:
        return "the picture is blank"
    height, width = cropped.shape
    if width > MAX_WIDTH_PX or height > MAX_HEIGHT_PX:
        return f"the picture of {width} x {height} pixels is too large"
    return FormulaPicture(cropped, dpi * EM_INCHES, formula)


def _smooth_dpi(random: Random) -> float:
    low, high = SMOOTH_DPI
    return math.exp(random.uniform(math.log(low), math.log(high)))


def like_im2latex(page: Grey, threshold: int) -> Grey:
    """A page rendered at twice the resolution, with the hard, heavy ink of im2latex-100k.

    ``threshold``: pixels darker than this become black, 254 all that any ink touches. The pictures
    of im2latex-100k have about 250.
    """
    height, width = (side + side % 2 for side in page.shape)
    ink = np.full((height, width), 255, np.uint8)
    ink[: page.shape[0], : page.shape[1]][page < threshold] = 0
    half = Image.fromarray(ink).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    return np.asarray(half)


@dataclass(frozen=True, slots=True)
class PrintedShards:
    """Shards of printed formulas, sampled from the sources by their weights.

    Over the first ``curriculum_shards`` shards the longest formula grows from ``first_tokens`` to
    ``max_tokens``: a model that begins with short formulas learns to read sooner.
    """

    sources: tuple[FormulaSource, ...]
    pictures_per_shard: int = 2000
    seed: int = 0
    curriculum_shards: int = 0
    first_tokens: int = 16
    max_tokens: int = 220

    def token_limit(self, number: int) -> int:
        """Tokens of the longest formula in a shard."""
        share = min(number / self.curriculum_shards, 1.0) if self.curriculum_shards else 1.0
        return round(self.first_tokens + share * (self.max_tokens - self.first_tokens))

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        return asdict(self) | {
            "sources": [source.as_json() for source in self.sources],
            "renderer": "tex" if tex_available() else fonts(),
        }

    def open(self) -> ShardMaker:
        """The function that makes a shard. Raises InputError when a source cannot be used."""
        samplers = [source.sampler() for source in self.sources]
        weights = [source.weight for source in self.sources]

        def sample(random: Random, limit: int) -> str:
            for _ in range(_TRIES):
                (sampler,) = random.choices(samplers, weights)
                formula = sampler(random)
                if "\n" not in formula and formula.count(" ") < limit:
                    return formula
            raise InputError(f"The sources have no formula of at most {limit} tokens.")

        def make(number: int) -> list[FormulaPicture | str]:
            random = Random(f"{self.seed}/{number}")
            limit = self.token_limit(number)
            rendered: list[FormulaPicture | str] = []
            while (left := self.pictures_per_shard - len(rendered)) > 0:
                formulas = [sample(random, limit) for _ in range(min(FORMULAS_PER_RUN, left))]
                randoms = [Random(random.getrandbits(64)) for _ in formulas]
                rendered += render_printed(formulas, choose_style(random), randoms)
            return rendered

        return make
