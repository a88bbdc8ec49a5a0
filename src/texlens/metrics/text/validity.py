"""Whether a prediction is valid LaTeX, independent of the reference; each value is 1.0 or 0.0.

- `brace_valid`: the brace heuristic of the GRPO report on the raw text (`latex.braces_balanced`).
- `katex_valid`: KaTeX parses the text.
- `compiles`: pdflatex typesets the formula without an error, with amsmath and amssymb. Without TeX
  on this machine it has no value, never 0.

An empty prediction is never valid. Unit: share of items, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from texlens.metrics.base import Drawings, ItemScore, Metric, Pair, PairMetric


class BraceValidity(PairMetric):
    """The brace heuristic of the GRPO report (Small Model, Big Equations)."""

    keys = ("brace_valid",)
    judges_prediction_alone = True
    parameters: ClassVar[dict[str, object]] = {"text": "raw"}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """1.0 or 0.0."""
        from texlens.latex import braces_balanced

        return {"brace_valid": float(braces_balanced(pair.pred))}


class KatexValidity(Metric):
    """Whether KaTeX parses the prediction."""

    keys = ("katex_valid",)
    judges_prediction_alone = True

    def parameters_of(self, key: str) -> dict[str, object]:
        """The engine's versions."""
        from texlens.engine import get_engine

        return {"text": "formula", "engine": get_engine().signature}

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value a pair."""
        from texlens.engine import get_engine, without_fault
        from texlens.latex import formula_of

        formulas = [formula_of(pair.pred) for pair in pairs]
        failures = without_fault(get_engine().parse(formulas))
        return [
            ItemScore({"katex_valid": float(bool(formula and pair.pred.strip()) and not failure)})
            for pair, formula, failure in zip(pairs, formulas, failures, strict=True)
        ]


class TexCompiles(Metric):
    """Whether pdflatex compiles the prediction."""

    keys = ("compiles",)
    judges_prediction_alone = True

    def unavailable(self) -> str | None:
        """TeX may not be installed."""
        from texlens.render.pdflatex import tex_available

        return None if tex_available() else "TeX is not installed (no pdflatex)"

    def parameters_of(self, key: str) -> dict[str, object]:
        """What typesets, in which version."""
        from texlens.render.pdflatex import tex_version

        return {"text": "formula", "tex": tex_version(), "packages": "amsmath,amssymb"}

    def score_items(self, pairs: Sequence[Pair], drawings: Drawings) -> list[ItemScore]:
        """One value a pair."""
        from texlens.render.tex import compiles

        compiled = compiles([pair.pred for pair in pairs])
        return [ItemScore({"compiles": float(bool(ok))}) for ok in compiled]
