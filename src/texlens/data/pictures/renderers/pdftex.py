"""Formulas typeset by pdfTeX and rasterised by pdfium.

More than half of the pictures have the style of im2latex-100k, found by rendering its texts and
comparing: 10-point Computer Modern at 200 dpi, every pixel that ink touches made black, then halved
with a Lanczos filter, as its authors' preprocessing did. The rest are smooth pages in other fonts
and sizes.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from random import Random
from typing import Final

import numpy as np
from PIL import Image

from texlens.data.pictures.renderers.base import Dropped, Grey, Rendered, Style, cropped
from texlens.engine import Failure
from texlens.latex import tokenize
from texlens.latex.symbols import commands
from texlens.render.pdflatex import tex_available
from texlens.render.tex import render_tex

EM_INCHES: Final = 10 / 72.27  # an em of 10-point type
IM2LATEX_SHARE: Final = 0.55
SMOOTH_DPI: Final = (80.0, 200.0)
# Fonts of the smooth pictures, by weight. Bold is left out: it would hide \mathbf.
SMOOTH_FONTS: Final[dict[str, int]] = {
    "cm": 8, "newtx": 2, "newpx": 2, "fourier": 1, "kpfonts": 1, "stix2": 2, "euler": 1,
    "mathptmx": 2, "mathpazo": 2, "arev": 1, "cmbright": 1, "iwona": 1, "kurier": 1, "charter": 1,
    "libertinus": 1, "antykwa": 1, "newcentury": 1, "cm-sans": 1,
}  # fmt: skip
MORE_FONTS: Final[dict[str, int]] = {
    "libertine": 1, "xcharter": 1, "scholax": 1, "stickstoo": 1, "kpfonts-light": 1, "helvetica": 1,
}  # fmt: skip
# Commands that formulas use beyond amsmath and amssymb.
_PACKAGES: Final = r"\usepackage{cancel,braket}\newcommand\degree{^\circ}"
_SCRIPT: Final = r"\usepackage{mathrsfs}"
_CHEMISTRY: Final = r"\usepackage[version=4]{mhchem}"  # takes half a second to load
_OWN_SCRIPT: Final = ("kpfonts", "kpfonts-light", "stix2", "libertinus", "stickstoo")

# What some fonts have other signs for, without a word in TeX's log: in an alphabet that has no Greek,
# TeX takes what stands in its place; and mhchem's hyphen (`\ce{2-C4H8}`) is a minus-plus in two fonts.
_NO_UPRIGHT_GREEK: Final = ("mathpazo", "helvetica")
_NO_HYPHEN: Final = ("stix2", "libertinus")
_GREEK: Final = commands(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi varpi "
    "rho varrho sigma varsigma tau upsilon phi varphi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_UPRIGHT_ALPHABETS: Final = frozenset(
    (r"\mathrm", r"\mathbf", r"\mathsf", r"\mathit", r"\mathtt", r"\operatorname", r"\ce")
)
_SCRIPT_ALPHABETS: Final = frozenset((r"\mathcal", r"\mathscr", r"\mathfrak", r"\mathbb"))


class PdfTex:
    """See `Renderer`. `im2latex_share`: of its pictures, those in the style of im2latex-100k."""

    def __init__(self, im2latex_share: float = IM2LATEX_SHARE) -> None:
        self.im2latex_share = im2latex_share

    def missing(self) -> str | None:
        """Why it cannot be used here."""
        if not tex_available():
            return "TeX is not installed: there is no pdflatex on the PATH"
        if importlib.util.find_spec("pypdfium2") is None:
            return "pypdfium2 is not installed: pip install 'texlens[tex]'"
        return None

    def choose_style(self, random: Random) -> Style:
        """im2latex's style, or a smooth page in one of the fonts."""
        if random.random() < self.im2latex_share:
            return Style("pdftex", "cm", like_im2latex=True)
        fonts = SMOOTH_FONTS | MORE_FONTS
        (font,) = random.choices(list(fonts), list(fonts.values()))
        return Style("pdftex", font, display=random.random() < 0.8)

    def render(
        self, formulas: Sequence[str], style: Style, randoms: Sequence[Random]
    ) -> list[Rendered]:
        """See `Renderer`: the size of smooth pictures is random."""
        packages = packages_for(formulas, style.font)
        dpi = resolutions(style, randoms)
        pages = render_tex(
            formulas, font=style.font, dpi=dpi, display=style.display, packages=packages
        )
        return finished(
            [
                wrong_glyphs(formula, style.font)
                or (page.message if isinstance(page, Failure) else page)
                for formula, page in zip(formulas, pages, strict=True)
            ],
            dpi, formulas, style, randoms,
        )  # fmt: skip


def wrong_glyphs(formula: str, font: str) -> str | None:
    """Which signs of the formula the font would show as others; None if all are right."""
    if _has_greek_in(_SCRIPT_ALPHABETS, formula):
        return "wrong glyphs: alphabets of script have no Greek"
    if font in _NO_UPRIGHT_GREEK and _has_greek_in(_UPRIGHT_ALPHABETS, formula):
        return "wrong glyphs: the font has no upright Greek"
    if font in _NO_HYPHEN and r"\ce" in formula:
        return "wrong glyphs: mhchem's hyphen is another sign in this font"
    return None


def _has_greek_in(alphabets: frozenset[str], formula: str) -> bool:
    """Whether a Greek letter stands in the argument of one of the alphabets."""
    depth, end = 0, -1  # the argument ends where the depth is `end` again; -1: in none
    for token in tokenize(formula):
        if end >= 0 and token in _GREEK:
            return True
        if end < 0 and token in alphabets:
            end = depth
        elif token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth == end:
                end = -1
    return False


def packages_for(formulas: Sequence[str], font: str) -> str:
    """The end of the preamble: commands that formulas use beyond amsmath and amssymb."""
    packages = _PACKAGES
    if font not in _OWN_SCRIPT:
        packages += _SCRIPT
    if any(r"\ce" in formula for formula in formulas):
        packages += _CHEMISTRY
    return packages


def resolutions(style: Style, randoms: Sequence[Random]) -> list[float]:
    """Dots per inch for each picture."""
    low, high = map(math.log, SMOOTH_DPI)
    if style.like_im2latex:
        return [200.0] * len(randoms)
    return [math.exp(random.uniform(low, high)) for random in randoms]


def finished(
    pages: Sequence[Grey | str],
    dpi: Sequence[float],
    formulas: Sequence[str],
    style: Style,
    randoms: Sequence[Random],
) -> list[Rendered]:
    """Pages, or why there is none, as pictures: in im2latex's style if the style has it."""
    rendered: list[Rendered] = []
    for page, resolution, formula, random in zip(pages, dpi, formulas, randoms, strict=True):
        if isinstance(page, str):
            rendered.append(Dropped(formula, page, style.name))
        elif style.like_im2latex:
            half = like_im2latex(page, random.randint(236, 253))
            rendered.append(cropped(half, resolution / 2 * EM_INCHES, formula, style))
        else:
            rendered.append(cropped(page, resolution * EM_INCHES, formula, style))
    return rendered


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
