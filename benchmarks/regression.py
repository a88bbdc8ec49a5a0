"""Fitting the logistic regressions of a calibration; `calibration.py` uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from texlens.reading.confidence import Regression


def fit(
    features: Sequence[Mapping[str, float]],
    outcomes: Sequence[bool],
    penalty: float = 1.0,
) -> Regression:
    """Fit by maximum likelihood with an L2 penalty, by Newton's method.

    Args:
        features: of each example.
        outcomes: whether each example had the outcome.
        penalty: on the squared weights of the standardised features.
    """
    names = list(features[0])
    table = np.array([[row[name] for name in names] for row in features], dtype=np.float64)
    means, spreads = table.mean(axis=0), table.std(axis=0) + 1e-9
    inputs = np.column_stack([np.ones(len(table)), (table - means) / spreads])
    reference = np.asarray(outcomes, dtype=np.float64)
    ridge = np.diag([1e-6] + [penalty] * len(names))
    weights = np.zeros(len(names) + 1)
    for _ in range(100):
        predicted = 1.0 / (1.0 + np.exp(-np.clip(inputs @ weights, -500, 500)))
        gradient = inputs.T @ (reference - predicted) - ridge @ weights
        curvature = (inputs * (predicted * (1 - predicted))[:, None]).T @ inputs + ridge
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    scaled = weights[1:] / spreads
    return Regression(
        intercept=float(weights[0] - scaled @ means),
        weights={name: float(weight) for name, weight in zip(names, scaled, strict=True)},
    )
