"""Every corpus, in the tree in which it is distributed, through the whole preparation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import pytest

from texlens.data.clean import Limits
from texlens.data.corpora import CORPORA, open_corpus
from texlens.data.parquet import read_examples
from texlens.data.prepare import Preparation, prepare


def pickled(folder: Path) -> None:
    layouts.hme100k(folder, pickled=True)


CASES: list[tuple[str, Callable[[Path], object] | None, dict[str, Any], dict[str, int]]] = [
    ("latex-formulas", layouts.latex_formulas, {}, {"train": 10, "validation": 1, "test": 1}),
    ("crohme", layouts.linxy, {}, {"train": 8, "validation": 2, "test": 2}),
    ("crohme", layouts.crohme, {}, {"train": 4, "test": 2}),
    (
        "linxy-latex-ocr",
        layouts.linxy,
        {"subset": "full"},
        {"train": 8, "validation": 2, "test": 2},
    ),
    ("hme100k", layouts.hme100k_as_distributed, {}, {"train": 3, "test": 2}),
    ("hme100k", pickled, {}, {"train": 3, "test": 2}),
    ("mathwriting", layouts.mathwriting, {}, {"train": 2, "validation": 1, "test": 1}),
    ("unimer", layouts.unimer_zip, {"subset": "hwe"}, {"test": 6}),
    ("unimer", layouts.unimer, {"subset": "train"}, {"train": 5}),
    ("unsloth-latex-ocr", layouts.unsloth, {}, {"train": 8, "test": 4}),
    ("im2latex", layouts.im2latex, {}, {"train": 2, "validation": 1, "test": 2}),
    ("unseen-fonts", None, {"count": 3}, {"train": 3}),
]


@pytest.mark.parametrize(("name", "layout", "options", "counts"), CASES)
def test_prepared(
    name: str,
    layout: Callable[[Path], object] | None,
    options: dict[str, Any],
    counts: dict[str, int],
    tmp_path: Path,
) -> None:
    if layout:
        layout(tmp_path / "corpus")
    corpus = open_corpus(name, [tmp_path / "corpus"] if layout else [], seed=1, **options)
    document = prepare(
        Preparation(corpus, None, 1, Limits()), tmp_path / "out", workers=1, quiet=True
    )
    assert document["counts"] == counts
    for split, n in counts.items():
        assert len(list(read_examples(tmp_path / "out" / f"{split}.parquet"))) == n
    # Every item of the corpus is in a split or named.
    dropped = [json.loads(r) for r in (tmp_path / "out" / "dropped.jsonl").open()]
    assert sum(counts.values()) + len(dropped) == len(list(corpus.locators()))
    assert document["not_sampled"] == 0


def test_no_corpus_is_left_out() -> None:
    elsewhere = {"hmer", "folder", "synthetic"}  # test_reports, test_prepare, test_synthetic
    assert {case[0] for case in CASES} | elsewhere == set(CORPORA)
