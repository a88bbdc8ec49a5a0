"""What every renderer of formulas offers, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from texlens.images import crop_to_ink

Grey = NDArray[np.uint8]
MAX_WIDTH_EM: Final = 100.0
MAX_HEIGHT_EM: Final = 24.0


@dataclass(frozen=True, slots=True)
class FormulaPicture:
    """One rendered formula: grey values (height, width), 255 white, cropped to the ink."""

    grey: Grey
    pixels_per_em: float
    formula: str
    style: str = ""  # the renderer and its font


@dataclass(frozen=True, slots=True)
class Dropped:
    """A formula without a picture, and why."""

    formula: str
    reason: str
    style: str = ""


Rendered = FormulaPicture | Dropped


@dataclass(frozen=True, slots=True)
class Style:
    """What the pictures of one batch have in common.

    Attributes:
        renderer: a name in `RENDERERS`.
        font: one that the renderer has.
        display: display style, else text style.
        like_im2latex: the hard, heavy ink of im2latex-100k's pictures.
        size: of the text around the formula, in CSS pixels (browsers).
        scale: device pixels in a CSS pixel (browsers): of the screen, times the zoom of the page.
        ink, paper: colours (browsers).
    """

    renderer: str
    font: str
    display: bool = True
    like_im2latex: bool = False
    size: float = 16.0
    scale: float = 1.0
    ink: str = "#000000"
    paper: str = "#ffffff"

    @property
    def name(self) -> str:
        """The renderer and the font."""
        return f"{self.renderer} {self.font}"


class Renderer(Protocol):
    """Turns formulas into pictures, hundreds at a time."""

    def missing(self) -> str | None:
        """Why the renderer cannot be used here, in a sentence; None where it can."""
        ...

    def choose_style(self, random: Random) -> Style:
        """A style of this renderer, at random."""
        ...

    def render(
        self, formulas: Sequence[str], style: Style, randoms: Sequence[Random]
    ) -> list[Rendered]:
        """Render a batch of formulas.

        Args:
            formulas: LaTeX in math mode.
            style: what the batch has in common.
            randoms: one for each formula, the source of what differs within a batch.
        """
        ...


def cropped(page: Grey, pixels_per_em: float, formula: str, style: Style) -> Rendered:
    """The picture of a page with one formula, or why it is of no use."""
    grey = crop_to_ink(page)
    if grey is None:
        return Dropped(formula, "the picture is blank", style.name)
    height, width = grey.shape
    if width > MAX_WIDTH_EM * pixels_per_em or height > MAX_HEIGHT_EM * pixels_per_em:
        reason = f"the picture is too large: {width / pixels_per_em:.0f} x {height / pixels_per_em:.0f} em"
        return Dropped(formula, reason, style.name)
    return FormulaPicture(grey, pixels_per_em, formula, style.name)
