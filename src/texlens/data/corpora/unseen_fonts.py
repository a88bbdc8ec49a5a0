"""Printed formulas in fonts that no other picture of TexLens is set in, to test on.

matplotlib's own mathtext sets them, in DejaVu Serif and STIX Sans. Neither TeX nor MathJax renders
in these fonts here, so that a model trained on TexLens's pictures has not seen them. Mathtext knows
one line and no environments; a formula that it cannot set is dropped, with its reason.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from texlens.data.corpora.base import Corpus, Locator
from texlens.data.formulas.grammar import generate
from texlens.data.items import Drop, RawItem

FONTS: Final = ("dejavuserif", "stixsans")
DEFAULT_COUNT: Final = 200
_DPI: Final = (90.0, 200.0)
_MARGIN_INCHES: Final = 0.06
_LONGEST: Final = 60  # tokens: one line that fits a page


@dataclass(frozen=True)
class UnseenFonts(Corpus):
    """`count` pictures; the fonts take turns."""

    count: int | None = None
    seed: int = 0

    name = "unseen-fonts"

    def locators(self) -> Iterator[Locator]:
        """(number,) of every picture."""
        for number in range(self.count or DEFAULT_COUNT):
            yield Locator(f"{self.name}-{number:07d}", (number,), source=self.name)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Render each formula; an item depends on the seed and its number alone."""
        for locator in locators:
            (number,) = locator.place
            random = Random(f"{self.seed}/{self.name}/{number}")
            length = min(int(random.lognormvariate(3.0, 0.6)), _LONGEST)
            formula = generate(random, tokens=length, depth=random.randint(0, 3))
            try:
                picture = _render(formula, FONTS[number % len(FONTS)], random.uniform(*_DPI))
            except ValueError as error:
                yield Drop(locator.id, "draw", f"mathtext: {str(error).strip().splitlines()[-1]}")
            else:
                yield RawItem(locator.id, picture, formula, "printed", self.name)


def _render(formula: str, font: str, dpi: float) -> bytes:
    """The formula as PNG, black on white. Raises ValueError when mathtext cannot set it."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    with rc_context({"mathtext.fontset": font, "savefig.facecolor": "white"}):
        figure = Figure(figsize=(0.1, 0.1))
        FigureCanvasAgg(figure)
        figure.text(0, 0, f"${formula}$", fontsize=10)
        figure.savefig(
            stream, format="png", dpi=dpi, bbox_inches="tight", pad_inches=_MARGIN_INCHES
        )
    return stream.getvalue()
