"""Renderers of formulas, behind one interface: formulas, a style and seeds in, pictures out.

`mathjax` works everywhere. `pdftex` needs TeX, and so does `pdftex-smooth`, which leaves out the style of
im2latex-100k; `katex`, `mathjax-chtml`, `mathjax-svg` and `mathml` need Chromium and texlens-fonts. A
formula that a renderer would not show as its LaTeX has it (an unknown command, a glyph that the font
lacks, ink beyond the edge) is dropped, with the reason.

Read `base` (the interface) first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from texlens.data.pictures.renderers.base import (
    Dropped,
    FormulaPicture,
    Rendered,
    Renderer,
    Style,
)
from texlens.data.pictures.renderers.browser import BrowserRenderer
from texlens.data.pictures.renderers.mathjax import MathJax
from texlens.data.pictures.renderers.pdftex import PdfTex
from texlens.errors import InputError

BROWSER_RENDERERS: Final = ("katex", "mathjax-chtml", "mathjax-svg", "mathml")
RENDERERS: Final[dict[str, Renderer]] = {
    "mathjax": MathJax(),
    "pdftex": PdfTex(),
    "pdftex-smooth": PdfTex(im2latex_share=0.0),
    **{name: BrowserRenderer(name) for name in BROWSER_RENDERERS},
}


def parse_renderers(text: str) -> dict[str, float]:
    """Read ``NAME[:WEIGHT],...``. Raises InputError for a name or weight that is not one."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition(":")
        try:
            weights[name] = float(weight or 1)
            if name not in RENDERERS or not 0 < weights[name] < float("inf"):
                raise ValueError
        except ValueError:
            raise InputError(
                f"'{part}' is not a renderer: give NAME or NAME:WEIGHT, NAME one of "
                f"{', '.join(RENDERERS)}."
            ) from None
    return weights


def present(weights: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The renderers that can be used here, with their weights; and why the others cannot.

    Raises InputError when none can.
    """
    missing = {name: reason for name in weights if (reason := RENDERERS[name].missing())}
    here = {name: weight for name, weight in weights.items() if name not in missing}
    if not here:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise InputError(f"None of the renderers can be used here ({reasons}).")
    return here, missing


def choose_style(random: Random, weights: Mapping[str, float] | None = None) -> Style:
    """A random style of a random renderer; without weights pdfTeX's where TeX is, else MathJax's."""
    if weights is None:
        name = "mathjax" if RENDERERS["pdftex"].missing() else "pdftex"
    else:
        (name,) = random.choices(list(weights), list(weights.values()))
    return RENDERERS[name].choose_style(random)


def render_formulas(
    formulas: Sequence[str], style: Style, randoms: Sequence[Random]
) -> list[Rendered]:
    """Render a batch of formulas; for each its picture, or why there is none.

    Args:
        formulas: LaTeX; for speed some dozens at a time, hundreds with pdfTeX.
        style: what the batch has in common.
        randoms: one for each formula, the source of its size: the same state gives the same
            picture, whatever else is in the batch.
    """
    return RENDERERS[style.renderer].render(formulas, style, randoms)


__all__ = [
    "BROWSER_RENDERERS",
    "RENDERERS",
    "Dropped",
    "FormulaPicture",
    "Rendered",
    "Renderer",
    "Style",
    "choose_style",
    "parse_renderers",
    "present",
    "render_formulas",
]
