"""Metrics of formula recognition: every value with its interval and its signature.

In: pairs of reference and prediction (LaTeX). Out: a `Score` per metric, values per item, and a
report. `score` does it from Python, `texlens score` from a shell.

Read `base` first (what a metric is), then one metric in `text`, and `cdm` or `layout`, which
compare the formulas as drawn. `registry` has all keys, `batches` runs the metrics over pairs,
`cache` keeps their drawings, `columns` makes values and intervals, `scoring` puts it together,
`predictions` reads files, and `report` writes the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.metrics.batches import ScoringConfig
    from texlens.metrics.predictions import read_predictions
    from texlens.metrics.scoring import Scoring, score, score_predictions

__all__ = ["Scoring", "ScoringConfig", "read_predictions", "score", "score_predictions"]

__getattr__ = lazy_names(
    __name__,
    {
        "Scoring": "texlens.metrics.scoring",
        "ScoringConfig": "texlens.metrics.batches",
        "read_predictions": "texlens.metrics.predictions",
        "score": "texlens.metrics.scoring",
        "score_predictions": "texlens.metrics.scoring",
    },
)
