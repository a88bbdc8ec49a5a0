"""The tests of differences, beside values worked out by hand or over all exchanges."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.compare.significance import set_statistics
from texlens.records import Prediction


def system(name: str, values: list[float | None]) -> ScoredRun:
    """A system with these values of `edit_tokens`, a distance."""
    known = [value for value in values if value is not None]
    metric = {
        "value": float(np.mean(known)) if known else None,
        "n": len(known),
        "ci": [0.0, 1.0] if known else None,
        "signature": "edit_tokens",
    }
    items = tuple(
        (Prediction(str(n), "x", "y"), {"edit_tokens": value}) for n, value in enumerate(values)
    )
    document = {"metrics": {"edit_tokens": metric}, "n": len(values), "breakdown": {}}
    return ScoredRun(Path(name), name, "set", document, items)


def test_the_p_of_randomisation_is_that_of_all_exchanges() -> None:
    rng = np.random.default_rng(1)
    first = [float(value) for value in rng.random(10)]
    second = [float(value) for value in np.clip(np.array(first) + rng.normal(0.1, 0.2, 10), 0, 1)]
    gains = np.array(second) - np.array(first)
    exchanges = np.array(list(product((-1, 1), repeat=10)))
    exact = (np.abs(exchanges @ gains) >= abs(gains.sum()) - 1e-12).mean()
    found = set_statistics([system("a", [*first]), system("b", [*second])], ["edit_tokens"])
    one = found.differences["b", "a"]["edit_tokens"]
    assert one.value == pytest.approx(gains.mean())
    assert one.p_randomisation == pytest.approx(exact, abs=0.015)
    other = found.differences["a", "b"]["edit_tokens"]
    assert (other.value, other.wins, other.losses) == (-one.value, one.losses, one.wins)
    assert other.p_randomisation == one.p_randomisation


def test_holm_corrects_over_the_pairs() -> None:
    rng = np.random.default_rng(2)
    base = rng.random(60) * 0.5
    values = {
        "a": base,
        "b": np.clip(base + rng.normal(0.05, 0.1, 60), 0, 1),
        "c": np.clip(base + rng.normal(0.02, 0.1, 60), 0, 1),
    }
    runs = [system(name, [float(v) for v in value]) for name, value in values.items()]
    found = set_statistics(runs, ["edit_tokens"]).differences
    tests = sorted(
        (found[pair]["edit_tokens"] for pair in (("b", "a"), ("c", "a"), ("c", "b"))),
        key=lambda one: one.p_randomisation,
    )
    least = 0.0
    for factor, one in zip((3, 2, 1), tests, strict=True):
        least = max(least, min(1.0, factor * one.p_randomisation))
        assert one.p_holm == least
    assert tests[0].p_holm == 3 * tests[0].p_randomisation


def test_an_item_without_a_value_is_left_out_for_all() -> None:
    runs = [
        system("a", [0.1, None, 0.3, 0.4]),
        system("b", [0.2, 0.9, None, 0.4]),
        system("c", [0.0, 1.0, 1.0, 0.4]),
    ]
    found = set_statistics(runs, ["edit_tokens"])
    assert found.left_out == {"edit_tokens": 2}
    values = [found.values[name, "edit_tokens"] for name in "abc"]
    assert [value.n for value in values] == [2, 2, 2]
    assert [value.value for value in values] == pytest.approx([0.25, 0.3, 0.2])
    one = found.differences["c", "a"]["edit_tokens"]
    assert one.value == pytest.approx(-0.05)
    assert (one.wins, one.losses, one.ties) == (1, 0, 1)
