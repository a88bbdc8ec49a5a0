"""Wins and losses: the items that a run reads better than the base, and those it reads worse.

Each is shown as picture (where the data is given), reference, and both readings: drawn with the ink
that the metric did not match in red, and as text: marked is what a reading has and the reference has
not, and in the reference what the worse reading lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from texlens.errors import InputError
from texlens.evaluate.compare.runs import EvaluatedRun
from texlens.evaluate.report import show_picture
from texlens.evaluate.run import DataSet
from texlens.metrics.batches import Plan
from texlens.metrics.registry import goodness
from texlens.metrics.report.explain import explain
from texlens.metrics.report.page import marked_differences
from texlens.png import data_address, encode_png
from texlens.records import Prediction

ITEMS_SHOWN = 4  # wins, and losses, of each run on each set
# The first of these that both runs have decides what is a win.
_KEYS = ("layout", "cdm", "edit_tokens", "exact")

Pieces = Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Shown:
    """One text of an entry: its name, its drawing's address or why there is none, and its pieces.

    A piece is a run of tokens, with whether the text it is compared with lacks it.
    """

    name: str
    drawing: str | None
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Entry:
    """One item that base and run read differently well; `picture` is a `data:` address."""

    id: str
    values: tuple[float, float]
    picture: str | None
    sides: tuple[Shown, Shown, Shown]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The widest wins and losses of a run against the base, and how many there are in all."""

    set: str
    model: str
    key: str
    wins: tuple[Entry, ...]
    losses: tuple[Entry, ...]
    counts: tuple[int, int, int]  # better, worse, equal


def make_gallery(
    base: EvaluatedRun, run: EvaluatedRun, pictures: Mapping[str, bytes]
) -> Gallery | None:
    """Choose and draw the items; None when the runs share no metric that can choose.

    Args:
        base: what the run is compared with, on the same set.
        run: the run.
        pictures: encoded pictures by id, as far as they are known.
    """
    shared = [key for key in _KEYS if all(_has(r, key) for r in (base, run))]
    if not shared:
        return None
    key = shared[0]
    gains: dict[str, float] = {}
    for id_, values in base.values.items():
        before, after = values.get(key), run.values[id_].get(key)
        if before is not None and after is not None:
            gains[id_] = goodness(key, after) - goodness(key, before)
    by_gain = sorted(gains, key=lambda id_: (gains[id_], id_))
    better = [id_ for id_ in reversed(by_gain) if gains[id_] > 0]
    worse = [id_ for id_ in by_gain if gains[id_] < 0]

    def entries(ids: Sequence[str]) -> tuple[Entry, ...]:
        return tuple(_entry(id_, key, base, run, pictures) for id_ in islice(ids, ITEMS_SHOWN))

    counts = (len(better), len(worse), len(gains) - len(better) - len(worse))
    return Gallery(run.set, run.model, key, entries(better), entries(worse), counts)


def pictures_of(runs: Sequence[EvaluatedRun], data: Sequence[Path]) -> dict[str, dict[str, bytes]]:
    """By set the pictures that its runs have read, from the Parquet files that hold them.

    Raises InputError when a file cannot be read or belongs to none of the runs.
    """
    found: dict[str, dict[str, bytes]] = {}
    limits = {run.data_sha256: (run.set, run.document["run"]["limit"]) for run in runs}
    for path in data:
        for limit in dict.fromkeys(limit for _, limit in limits.values()):
            one = DataSet(path, limit)
            if (known := limits.get(one.sha256())) is not None:
                found[known[0]] = {example.id: example.image for example in one.examples()}
                break
        else:
            raise InputError(f"'{path}' is not what any of the runs has read.")
    return found


def _has(run: EvaluatedRun, key: str) -> bool:
    return run.metrics.get(key, {}).get("value") is not None


def _entry(
    id_: str, key: str, base: EvaluatedRun, run: EvaluatedRun, pictures: Mapping[str, bytes]
) -> Entry:
    before, after = base.predictions[id_], run.predictions[id_]
    values = base.values[id_][key], run.values[id_][key]
    assert values[0] is not None
    assert values[1] is not None
    picture = show_picture(pictures[id_]) if id_ in pictures else None
    reference = Prediction(id_, before.gt, before.gt)
    worse = before if goodness(key, values[0]) < goodness(key, values[1]) else after
    return Entry(
        id_,
        (values[0], values[1]),
        None if picture is None else data_address(picture),
        (
            Shown(
                "reference", _painted(reference, key), marked_differences(before.gt, worse.pred)[0]
            ),
            Shown(base.model, _painted(before, key), marked_differences(before.gt, before.pred)[1]),
            Shown(run.model, _painted(after, key), marked_differences(after.gt, after.pred)[1]),
        ),
    )


def _painted(prediction: Prediction, key: str) -> str | None:
    """The reading drawn, its ink green where the reference has the same, red elsewhere."""
    metric = "cdm" if key == "cdm" else "layout"
    try:
        pictures = explain(prediction, Plan((metric,))).pictures
    except InputError:  # it cannot be drawn
        return None
    return data_address(encode_png(pictures[metric][1], optimize=True))
