"""`cdm` and `exprate_cdm`: the published character detection metric, without its machinery.

Wang et al., "Image Over Text: Transforming Formula Recognition Evaluation with Character Detection
Matching", CVPR 2025, and the code that gives the published numbers (UniMERNet, folder `cdm`, commit
5a2c80d of 2025-09-28). Every token of both formulas is drawn in a colour of its own, the boxes of
the tokens are matched one to one, and RANSAC keeps the matches that agree on the place:

    cdm = F1 of the matched tokens, rounded to 3 places; exprate_cdm = 1 where that is 1, else 0

Unit 0..1, higher is better; the mean over drawable references is the published score. Its tokens, token
map, matching and thresholds are kept with their faults of judgement (for a metric without them see
`layout`); its faults of counting are not: see docs/metrics.md.

    cdm_tokens, cdm_grammar  which tokens a formula has, and which of them are drawn
    cdm_mathjax, cdm_tex     where their ink is, by two engines
    cdm_match                which of them are the same
"""

from __future__ import annotations

from collections.abc import Sequence

from texlens.metrics.base import CdmEngine, Drawings, ItemScore, Match, Metric, Pair, Side, sign
from texlens.metrics.cdm import mathjax_boxes
from texlens.metrics.cdm.matching import Inked, match
from texlens.metrics.cdm.tokens import paint

REVISION = 1
"""Raised with every change that changes a number."""


class Cdm(Metric):
    """The published CDM by boxes from MathJax (`mathjax`) or from TeX (`tex`)."""

    keys = ("cdm", "exprate_cdm")
    needs_drawing = True

    def __init__(self, engine: CdmEngine = "mathjax") -> None:
        self.engine = engine

    def unavailable(self) -> str | None:
        """TeX may not be installed."""
        from texlens.render.pdflatex import tex_available

        if self.engine == "tex" and not tex_available():
            return "TeX is not installed (no pdflatex): use the engine 'mathjax'"
        return None

    def signature(self, key: str) -> str:
        """Whose tokens, our revision, and what draws."""
        drawn_by = "pdflatex+pdfium:200dpi"
        if self.engine == "mathjax":
            from texlens.engine import get_engine

            drawn_by = get_engine().signature
        return sign(key, tokens="unimernet-5a2c80d", revision=REVISION, engine=drawn_by)

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value of each key a pair."""
        inked = self._draw({text for pair in pairs for text in (pair.gt, pair.pred)}, drawings)
        return [self._score(inked[pair.gt], inked[pair.pred]) for pair in pairs]

    def explain(self, pair: Pair, drawings: Drawings) -> Match | None:
        """Which tokens of the two formulas match, on MathJax's drawings whatever the engine."""
        inked = self._draw({pair.gt, pair.pred}, drawings)
        gt, pred = inked[pair.gt], inked[pair.pred]
        if gt is None or pred is None:
            return None
        partners = match(gt, pred).partners
        gt_side = _side(pair.gt, [gt.numbers[i] for i, _ in partners], drawings)
        pred_side = _side(pair.pred, [pred.numbers[j] for _, j in partners], drawings)
        if gt_side is None or pred_side is None:
            return None
        boxes = zip(gt_side[1], pred_side[1], strict=True)
        return Match(
            gt_side[0],
            pred_side[0],
            tuple((i, j) for i, j in boxes if i is not None and j is not None),
        )

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
    side = Side(drawing.boxes, tuple(number in set(matched) for number in numbers), latex)
    return side, [firsts.get(number) for number in matched]
