"""Proving readings: each is typeset and compared with its picture; the first that fits is the label.

Pictures are worked on in chunks, so that one run of TeX typesets hundreds of formulas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import ndimage

from texlens.data.labels.drawing import Grey, Placed, compare, draw, place
from texlens.data.labels.edits import edits, mixtures, shown, spaces
from texlens.data.labels.glyphs import GlyphTable
from texlens.data.labels.pages import FormulaPage, formula_pages
from texlens.latex import katex_valid

# Of 20,745 near misses of known labels (a token changed for a look-alike, or left out) one scores less,
# 58 score 1.3 to 2; of the labels 91 % score less (benchmarks/labels.py).
ACCEPT: Final = 1.0
_MIXTURES: Final = 8
_EDITS: Final = 12  # of one reading
_STEPS: Final = 2  # edits upon edits
_WORTH_EDITING: Final = 0.5  # agreement below which a reading has more than one fault
_PROGRESS: Final = 0.02  # of the columns, that an edit must bring into agreement
_INK: Final = 120  # grey values below it count as ink when columns are compared


@dataclass(slots=True)
class Case:
    """A picture with its readings, likeliest first, and what has been proved about it.

    Attributes:
        latex: the label; None while there is none.
        score, pixels: of the label as drawn, see `Difference`; while there is none, of the best.
        reading: which reading the label is; -1: none of them as it was read.
    """

    id: str
    picture: Grey
    readings: Sequence[str]
    latex: str | None = None
    score: float = math.inf
    pixels: int = 0
    reading: int = -1
    _tried: set[str] = field(default_factory=set)
    _nearest: tuple[float, str] = (-1.0, "")  # agreement, LaTeX

    def untried(self, formulas: Iterable[str]) -> list[str]:
        """Those of the formulas that have not been drawn yet, which from now on they count as."""
        new = [formula for formula in dict.fromkeys(formulas) if formula not in self._tried]
        self._tried.update(new)
        return new


class Prover:
    """Proves readings of im2latex's pictures with a table of glyphs."""

    def __init__(self, glyphs: GlyphTable, accept: float = ACCEPT) -> None:
        self.glyphs = glyphs
        self.accept = accept

    def prove(self, cases: Sequence[Case], *, edit: bool) -> None:
        """Find a label for each case among its readings and, with `edit`, small changes of them."""
        readings = [[shown(reading) for reading in case.readings] for case in cases]
        self._try(cases, [one[:1] for one in readings], edit)
        self._try(cases, [one[1:] for one in readings], edit)
        if edit:
            self._try(cases, [mixtures(one, _MIXTURES) for one in readings], edit)
            for _ in range(_STEPS):
                nearest = [case._nearest for case in cases]
                changed = [
                    _first(edits(formula)) if near >= _WORTH_EDITING else []
                    for near, formula in nearest
                ]
                self._try(cases, changed, edit)
                if nearest == [case._nearest for case in cases]:
                    break
        for case, one in zip(cases, readings, strict=True):
            case.reading = one.index(case.latex) if case.latex in one else -1
        self._take_off_spaces([case for case in cases if case.latex is not None])

    def _try(self, cases: Sequence[Case], formulas: Sequence[Sequence[str]], edit: bool) -> None:
        """Draw formulas of the cases that have no label yet; the best that fits becomes the label.

        With `edit`, also find the formula that is nearest to the picture.
        """
        jobs = [
            (case, formula)
            for case, some in zip(cases, formulas, strict=True)
            if case.latex is None
            for formula in case.untried(some)
        ]
        # What KaTeX refuses is no label, and would often end TeX's run over hundreds of formulas.
        valid = katex_valid([formula for _, formula in jobs])
        jobs = [job for job, is_valid in zip(jobs, valid, strict=True) if is_valid]
        fitting: dict[int, list[tuple[float, int, int, str]]] = {}
        pages = self._pages([formula for _, formula in jobs])
        for rank, ((case, formula), page) in enumerate(zip(jobs, pages, strict=True)):
            if isinstance(page, str):
                continue
            found = compare(case.picture, page, self.glyphs, self.accept)
            if found.score < self.accept:
                fitting.setdefault(id(case), []).append((found.score, found.pixels, rank, formula))
            elif not fitting.get(id(case)):
                case.score, case.pixels = min(
                    (case.score, case.pixels), (found.score, found.pixels)
                )
                near = agreement(case.picture, page, self.glyphs) if edit else -1.0
                if near > case._nearest[0] + _PROGRESS:
                    case._nearest = (near, formula)
        for case in cases:
            if id(case) in fitting:
                case.score, case.pixels, _, case.latex = min(fitting[id(case)])

    def _pages(self, formulas: Sequence[str]) -> list[FormulaPage | str]:
        pages = formula_pages(formulas)
        self.glyphs.add(
            character.glyph
            for page in pages
            if not isinstance(page, str)
            for character in page.characters
        )
        return pages

    def _take_off_spaces(self, cases: Sequence[Case]) -> None:
        """Take off each space without which the picture is the same."""
        while True:
            jobs = [(case, formula) for case in cases for formula in spaces(case.latex or "")]
            if not jobs:
                return
            old = dict(zip(map(id, cases), self._inks([c.latex or "" for c in cases]), strict=True))
            changed: dict[int, Case] = {}
            inks = self._inks([formula for _, formula in jobs])
            for (case, formula), ink in zip(jobs, inks, strict=True):
                if id(case) not in changed and ink is not None and ink == old[id(case)]:
                    case.latex = formula
                    changed[id(case)] = case
            cases = list(changed.values())

    def _inks(self, formulas: Sequence[str]) -> list[list[tuple[object, ...]] | None]:
        """What is drawn, and where relative to each other; None where nothing is."""
        return [
            None if isinstance(page, str) else _ink(place(page, self.glyphs))
            for page in self._pages(formulas)
        ]


def _first(formulas: Iterable[str]) -> list[str]:
    return [formula for formula, _ in zip(formulas, range(_EDITS), strict=False)]


def _ink(placed: list[Placed]) -> list[tuple[object, ...]] | None:
    if not placed:
        return None
    left = min(piece.column for piece in placed)
    return sorted((p.row, p.column - left, p.ink.shape, str(p.glyph)) for p in placed)


def agreement(picture: Grey, page: FormulaPage, glyphs: GlyphTable) -> float:
    """The share of columns, counted from the left and the right edge, in which both show the same.

    A pixel of leeway is given, so that this also compares pictures of different sizes (0..1).
    """
    drawn = draw(page, glyphs)
    if drawn is None:
        return 0.0
    best = 0.0
    missing = picture.shape[0] - drawn.shape[0]
    for top in {0, missing}:  # aligned at the upper or at the lower edge
        moved = _shifted(drawn, top, picture.shape[0])
        fore = _equal_columns(picture, moved)
        back = _equal_columns(picture[:, ::-1], moved[:, ::-1])
        best = max(best, min(1.0, (fore + back) / max(picture.shape[1], drawn.shape[1])))
    return best


def _shifted(drawn: Grey, top: int, height: int) -> Grey:
    """The drawn picture, moved down by `top` rows, at another height."""
    moved = np.full((height, drawn.shape[1]), 255, np.uint8)
    source = drawn[max(0, -top) : max(0, -top) + height - max(0, top)]
    start = max(0, top)
    moved[start : start + source.shape[0]] = source
    return moved


def _equal_columns(one: Grey, other: Grey) -> int:
    """The number of columns before the first in which the ink differs."""
    width = min(one.shape[1], other.shape[1])
    a, b = one[:, :width] < _INK, other[:, :width] < _INK
    around = np.ones((3, 3), bool)
    differs = (a & ~ndimage.binary_dilation(b, around)) | (b & ~ndimage.binary_dilation(a, around))
    columns = differs.any(0)
    return int(columns.argmax()) if columns.any() else width
