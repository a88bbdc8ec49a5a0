"""Labelled pairs: what a careful reader of the two pictures would answer (docs/metrics.md).

The first 232 rows of `probes.tsv` were labelled before revision 2 of the metric was written; revision 1
was right on 209 of them. The next 56 are a control, written afterwards and labelled before they were
scored: revision 1 was right on 44, revision 2 on 55 at first. `expected` is `same` (layout is 1),
`different` (less than 1), or `closer` (the prediction scores better than `other`).
"""

from __future__ import annotations

import csv
from pathlib import Path

from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.layout import Layout

PROBES = Path(__file__).parent / "probes.tsv"


def probes() -> list[dict[str, str]]:
    with PROBES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def scores(pairs: list[tuple[str, str]]) -> list[float]:
    items = Layout().score_items(
        [Pair(gt, gt, pred, gt, pred, (), ()) for gt, pred in pairs], DrawingStore(on_disk=False)
    )
    values = [item.values["layout"] for item in items]
    assert not any(item.warnings for item in items), "a probe cannot be rendered"
    return [value for value in values if value is not None]


def test_a_careful_reader_agrees() -> None:
    rows = probes()
    given = scores([(row["reference"], row["prediction"]) for row in rows])
    ordered = [row for row in rows if row["expected"] == "closer"]
    others = iter(scores([(row["reference"], row["other"]) for row in ordered]))
    mistakes = []
    for row, value in zip(rows, given, strict=True):
        match row["expected"]:
            case "same":
                right = value == 1
            case "different":
                right = value < 1
            case _:
                right = value > next(others)
        if not right:
            mistakes.append((row["kind"], row["reference"], row["prediction"], value))
    assert not mistakes


def test_probes_are_symmetric() -> None:
    pairs = [(row["reference"], row["prediction"]) for row in probes()]
    assert scores(pairs) == scores([(pred, gt) for gt, pred in pairs])


def test_no_probe_is_there_twice() -> None:
    rows = [(row["reference"], row["prediction"], row["other"]) for row in probes()]
    assert len(set(rows)) == len(rows) >= 150
