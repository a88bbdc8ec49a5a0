"""The metrics of the qwen-ocr report, against what the original functions give.

`unimer_pairs.jsonl` has 500 pairs made from benchmarks/formulas.txt by random edits and spacings, with
the results of the original functions, run outside this repository: `normalize_latex` of the report's
eval.py, BLEU of Hugging Face `evaluate`, rapidfuzz 3.14.6 and anls 0.0.2. Its first line has the BLEU of all
pairs and of ten parts: start, end, value.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from texlens.metrics.base import CorpusMetric, Metric, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.registry import build_metrics
from texlens.metrics.text.unimer import spacing_normalised

ORIGINAL = Path(__file__).parent / "unimer_pairs.jsonl"
STORE = DrawingStore(on_disk=False)


@cache
def original() -> tuple[list[tuple[int, int, float]], list[dict[str, Any]]]:
    first, *rest = ORIGINAL.read_text("utf-8").splitlines()
    return json.loads(first)["bleu"], [json.loads(line) for line in rest]


def pair(gt: str, pred: str) -> Pair:
    return Pair("", gt, pred, "", "", (), ())


def metric(key: str) -> Metric:
    (found,) = build_metrics([key])
    return found


@pytest.mark.parametrize(("key", "field"), [("edit_unimer", "edit"), ("anls", "anls")])
def test_items_have_the_values_of_the_original(key: str, field: str) -> None:
    _, rows = original()
    assert len(rows) == 500
    items = metric(key).score_items([pair(row["gt"], row["pred"]) for row in rows], STORE)
    for item, row in zip(items, rows, strict=True):
        assert item.values[key] == pytest.approx(row[field], abs=1e-9), row


def test_a_corpus_has_the_bleu_of_the_original() -> None:
    parts, rows = original()
    bleu = metric("bleu_unimer")
    assert isinstance(bleu, CorpusMetric)
    items = bleu.score_items([pair(row["gt"], row["pred"]) for row in rows], STORE)
    import numpy as np

    statistics = np.array([item.statistics for item in items])
    for start, end, value in parts:
        (found,) = bleu.from_totals(statistics[start:end].sum(axis=0, keepdims=True))
        assert found == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\frac { a } { b }", r"\frac{a}{b}"),
        (r"\alpha x + \beta", r"\alpha x+\beta"),
        (r"a b", "a b"),
        (r"1 2", "12"),
        (r"\mathrm { R e } z", r"\mathrm{Re}z"),
        (r"x \ y", r"x\ y"),
        ("  x  ", "x"),
        ("$$x$$", "$$x$$"),
    ],
)
def test_spacing(text: str, expected: str) -> None:
    assert spacing_normalised(text) == expected


def test_the_first_two_double_dollars_of_a_prediction_are_dropped() -> None:
    assert spacing_normalised("$$x$$ $$y$$", drop_dollars=True) == "x$$y$$"
    (item,) = metric("edit_unimer").score_items([pair("x", "$$x$$")], STORE)
    assert item.values == {"edit_unimer": 0}


def test_extremes() -> None:
    def value(key: str, gt: str, pred: str) -> float | None:
        (item,) = metric(key).score_items([pair(gt, pred)], STORE)
        return item.values[key]

    assert value("bleu_unimer", "x", "x") == 1
    assert value("bleu_unimer", "x", "") == 0
    assert value("anls", "", "") == 1
    assert value("anls", "ABCD", "abcd") == 1
    assert value("anls", "abcd", "abxy") == 0  # a distance of exactly one half
    assert value("edit_unimer", "abcd", "abxy") == 0.5
    assert value("edit_unimer", "a" * 60_000, "a" * 60_000) == 0
    assert value("anls", "a" * 60_000, r"\text {" * 9_000) == 0
