"""Metrics that compare the texts of a pair and draw nothing.

In: a `Pair`. Out: values in 0..1. `bleu`, `edit`, `rouge` and `exact` compare the prediction with
the reference; `validity` and `answers` look for faults of the prediction. Each module says which
report or paper defines its metrics.
"""
