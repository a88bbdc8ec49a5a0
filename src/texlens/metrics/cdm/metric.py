"""`cdm` and `exprate_cdm`: the character detection metric, with the scores of the official code.

Wang et al., "Image Over Text: Transforming Formula Recognition Evaluation with Character Detection
Matching", CVPR 2025 (arXiv 2409.03643), and the official code (UniMERNet, folder `cdm`, commit
5a2c80d of 2025-09-28). Every token of both formulas is drawn in a colour of its own, the boxes of
the tokens are matched one to one, and RANSAC keeps the matches with consistent places:

    cdm = F1 of the matched tokens, rounded to 3 places; exprate_cdm = 1 where that is 1, else 0

Unit 0..1, higher is better; the score of a corpus is the mean over references that can be drawn.
Tokens, token map, matching and thresholds are those of the official code, also where they judge
wrongly (`layout` has no such faults); its bugs in counting are fixed: see docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from texlens.metrics.base import CdmEngine, Drawings, ItemScore, Match, Metric, Pair, Side
from texlens.metrics.cdm import chemistry, mathjax_boxes
from texlens.metrics.cdm.chemistry import has_chemistry
from texlens.metrics.cdm.matching import Inked, match
from texlens.metrics.cdm.tokens import paint

REVISION = 1
"""Increased with every change that changes a number."""


class Cdm(Metric):
    """CDM with the boxes of MathJax (`mathjax`) or of TeX (`tex`)."""

    keys = ("cdm", "exprate_cdm")
    needs_drawing = True
    revision = REVISION

    def __init__(self, engine: CdmEngine = "mathjax") -> None:
        self.engine = engine

    def unavailable(self) -> str | None:
        """TeX may not be installed."""
        from texlens.render.pdflatex import tex_available

        if self.engine == "tex" and not tex_available():
            return "TeX is not installed (no pdflatex): use the engine 'mathjax'"
        return None

    def parameters_of(self, key: str) -> dict[str, object]:
        """The source of the tokens, and the engine."""
        if self.engine == "mathjax":
            from texlens.engine import get_engine

            drawn_by = get_engine().signature
        else:
            from texlens.metrics.cdm.tex_boxes import DPI
            from texlens.render.pdflatex import pdfium_version, tex_version

            drawn_by = f"{tex_version()},{pdfium_version()},dpi:{DPI}"
        return {
            "tokens": "unimernet-5a2c80d",
            "chemistry": chemistry.RULE,
            "engine": drawn_by,
        }

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value of each key a pair."""
        by_glyphs = [_has_chemistry(pair) for pair in pairs]
        sides = [
            {
                text
                for pair, is_so in zip(pairs, by_glyphs, strict=True)
                if is_so == glyphs
                for text in (pair.gt, pair.pred)
            }
            for glyphs in (False, True)
        ]
        inked = self._draw(sides[False], drawings), _glyphs(sides[True], drawings)
        return [
            self._score(inked[glyphs][pair.gt], inked[glyphs][pair.pred])
            for pair, glyphs in zip(pairs, by_glyphs, strict=True)
        ]

    def explain(self, pair: Pair, drawings: Drawings) -> Match | None:
        """The tokens of the two formulas that match, always on MathJax's drawings."""
        by_glyphs = _has_chemistry(pair)
        texts = {pair.gt, pair.pred}
        inked = _glyphs(texts, drawings) if by_glyphs else self._draw(texts, drawings)
        gt, pred = inked[pair.gt], inked[pair.pred]
        if gt is None or pred is None:
            return None
        partners = match(gt, pred).partners
        side = _glyph_side if by_glyphs else _side
        first = side(pair.gt, [gt.numbers[i] for i, _ in partners], drawings)
        second = side(pair.pred, [pred.numbers[j] for _, j in partners], drawings)
        if first is None or second is None:
            return None
        boxes = zip(first[1], second[1], strict=True)
        pairs = tuple((i, j) for i, j in boxes if i is not None and j is not None)
        return Match(first[0], second[0], pairs)

    def _draw(self, texts: set[str], drawings: Drawings) -> dict[str, Inked | None]:
        """The inked tokens of each text; None where it cannot be drawn or leaves no ink."""
        painted = {text: painted for text in sorted(texts) if (painted := paint(text)) is not None}
        if self.engine == "mathjax":
            drawn = mathjax_boxes.draw(list(painted.values()), drawings)
        else:
            from texlens.metrics.cdm import tex_boxes

            drawn = tex_boxes.draw(list(painted.values()))
        return {**dict.fromkeys(texts), **dict(zip(painted, drawn, strict=True))}

    def _score(self, gt: Inked | None, pred: Inked | None) -> ItemScore:
        if gt is None:
            return ItemScore(dict.fromkeys(self.keys), ("cdm: the reference cannot be drawn",))
        if pred is None:
            nothing = dict.fromkeys(self.keys, 0.0)
            return ItemScore(nothing, ("cdm: the prediction cannot be drawn",))
        f1 = match(gt, pred).f1
        return ItemScore({"cdm": f1, "exprate_cdm": float(f1 == 1)})


def _side(
    text: str, matched: Sequence[int], drawings: Drawings
) -> tuple[Side, list[int | None]] | None:
    """The coloured rendering of a formula, and for each matched token the index of its first box."""
    painted = paint(text)
    found = mathjax_boxes.coloured([painted], drawings)[0] if painted else None
    if found is None:
        return None
    latex, drawing = found
    numbers = [mathjax_boxes.token_number(box) for box in drawing.boxes]
    firsts = {number: index for index, number in reversed(list(enumerate(numbers)))}
    side = Side(latex, drawing.boxes, tuple(number in matched for number in numbers))
    return side, [firsts.get(number) for number in matched]


def _has_chemistry(pair: Pair) -> bool:
    return has_chemistry(pair.gt) or has_chemistry(pair.pred)


def _glyphs(texts: set[str], drawings: Drawings) -> dict[str, Inked | None]:
    ordered = sorted(texts)
    return dict(zip(ordered, chemistry.draw(ordered, drawings), strict=True))


def _glyph_side(
    text: str, matched: Sequence[int], drawings: Drawings
) -> tuple[Side, list[int | None]] | None:
    """The rendering of a formula with chemistry, and for each matched glyph its box."""
    found = chemistry.drawn([text], drawings)[0]
    if found is None:
        return None
    latex, drawing = found
    places = range(len(drawing.boxes))
    return Side(latex, drawing.boxes, tuple(n in matched for n in places)), list(matched)
