r"""CDM of chemistry, which the official code has no tokens for.

It knows no mhchem: it splits `\ce{H2O}` at spaces and draws the pieces as they are, whatever they mean. In
a pair where either side has chemistry, the tokens of both are the glyphs that mhchem sets, with the boxes
of MathJax. Matching and thresholds are those of CDM. These scores are ours, as the signature says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from texlens.engine import Drawing
from texlens.latex import formula_of
from texlens.metrics.cdm.matching import Inked
from texlens.metrics.cdm.mathjax_boxes import read_boxes
from texlens.metrics.cdm.tokens import MAX_CHARACTERS

if TYPE_CHECKING:
    from texlens.metrics.base import Drawings

RULE: Final = "texlens-glyphs.1"
"""The value of `chemistry` in signatures. Increased with every change that changes a number."""
_CHEMISTRY: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:ce|pu)(?![A-Za-z])")


def has_chemistry(latex: str) -> bool:
    r"""Whether a formula has `\ce` or `\pu`."""
    return _CHEMISTRY.search(latex) is not None


def drawn(texts: Sequence[str], drawings: Drawings) -> list[tuple[str, Drawing] | None]:
    """Each formula and its drawing; None where MathJax fails, or the formula is too long."""
    formulas = [formula_of(text) if len(text) <= MAX_CHARACTERS else "" for text in texts]
    results = drawings.draw(formulas)
    return [
        (formula, drawing) if isinstance(drawing, Drawing) else None
        for formula, drawing in zip(formulas, results, strict=True)
    ]


def draw(texts: Sequence[str], drawings: Drawings) -> list[Inked | None]:
    """The glyphs and rules of each formula as inked tokens; None where there are none."""
    return [_inked(found[1]) if found else None for found in drawn(texts, drawings)]


def _inked(drawing: Drawing) -> Inked | None:
    names = [box.char or f"\\{box.kind}" for box in drawing.boxes]
    return read_boxes(drawing, names, range(len(names)))
