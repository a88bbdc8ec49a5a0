"""Wins and losses: the items that a run reads better than the base, and those it reads worse.

Each shows the picture (where the data is given), the reference, and both predictions. Formulas are
rendered with the ink that the metric did not match in red. In the LaTeX of a prediction, text is
marked that the reference does not have; in the reference, text that the worse prediction lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from texlens.errors import InputError
from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.run import DataSet
from texlens.images import data_address, encode_png
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.predictions import references_sha256
from texlens.metrics.registry import goodness
from texlens.metrics.report.explain import explain
from texlens.metrics.report.page import RenderedText, marked_differences
from texlens.reading.pictures.opening import picture_for_browsers
from texlens.records import Prediction

ITEMS_SHOWN = 4  # wins, and losses, of each run on each set
# The first of these that both runs have decides what is a win.
_KEYS = ("layout", "cdm", "edit_tokens", "exact")


@dataclass(frozen=True, slots=True)
class Entry:
    """One item that base and run read differently well.

    `values` are those of base and run, `picture` is a `data:` address, `sides` are the reference
    and the predictions of base and run.
    """

    id: str
    values: tuple[float, float]
    picture: str | None
    sides: tuple[RenderedText, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The largest wins and losses of a run against the base, and how many there are in all."""

    set: str
    model: str
    key: str
    wins: tuple[Entry, ...]
    losses: tuple[Entry, ...]
    counts: tuple[int, int, int]  # better, worse, equal


def make_gallery(base: ScoredRun, run: ScoredRun, data: DataSet | None) -> Gallery | None:
    """Choose and render the items; None when the runs share none of the metrics for the choice.

    Args:
        base: the run to compare with, on the same set.
        run: the run.
        data: the pictures, where they are known.
    """
    shared = [k for k in _KEYS if base.value(k) is not None and run.value(k) is not None]
    if not shared:
        return None
    key = shared[0]
    values: dict[str, tuple[float, float]] = {}
    for id_, before_values in base.values.items():
        before, after = before_values.get(key), run.values[id_].get(key)
        if before is not None and after is not None:
            values[id_] = before, after
    gains = {id_: goodness(key, b) - goodness(key, a) for id_, (a, b) in values.items()}
    by_gain = sorted(gains, key=lambda id_: (gains[id_], id_))
    better = [id_ for id_ in reversed(by_gain) if gains[id_] > 0]
    worse = [id_ for id_ in by_gain if gains[id_] < 0]

    shown = [*better[:ITEMS_SHOWN], *worse[:ITEMS_SHOWN]]
    pictures = data.pictures(shown) if data is not None else {}

    def entry(id_: str) -> Entry:
        gt = base.predictions[id_].gt
        old, new = base.predictions[id_].pred, run.predictions[id_].pred
        sides = (
            ("reference", gt, marked_differences(gt, old if gains[id_] > 0 else new)[0]),
            (base.model, old, marked_differences(gt, old)[1]),
            (run.model, new, marked_differences(gt, new)[1]),
        )
        picture = picture_for_browsers(pictures[id_]) if id_ in pictures else None
        return Entry(
            id_,
            values[id_],
            None if picture is None else data_address(picture),
            tuple(
                RenderedText(name, _painted(gt, latex, key), marks) for name, latex, marks in sides
            ),
        )

    return Gallery(
        run.set,
        run.model,
        key,
        tuple(map(entry, better[:ITEMS_SHOWN])),
        tuple(map(entry, worse[:ITEMS_SHOWN])),
        (len(better), len(worse), len(gains) - len(better) - len(worse)),
    )


def picture_sources(runs: Sequence[ScoredRun], data: Sequence[Path]) -> dict[str, DataSet]:
    """By set the data with the pictures that its systems have read.

    A system that read the pictures itself knows their hash; of the others, the references must be
    those of the data.

    Raises InputError when a file cannot be read or belongs to none of the systems.
    """
    found: dict[str, DataSet] = {}
    pictures = {run.set: run.data_sha256 for run in runs if run.data_sha256}
    for path in data:
        for run in runs:
            limit = run.about.get("limit", run.document["n"])
            one = DataSet(path, limit)
            known = pictures.get(run.set)
            if known is not None:
                matches = run.data_sha256 is not None and one.sha256() == known
            else:
                references = {example.id: example.latex_formula for example in one.examples()}
                matches = references_sha256(references) == run.references_sha256
            if matches:
                found[run.set] = one
                break
        else:
            raise InputError(f"None of the systems has read '{path}'.")
    return found


def _painted(gt: str, pred: str, key: str) -> str | None:
    """The prediction with its matched ink in green; None where it cannot be drawn."""
    metric = "cdm" if key == "cdm" else "layout"
    try:
        pictures = explain(Prediction("", gt, pred), ScoringConfig((metric,))).pictures
    except InputError:
        return None
    return data_address(encode_png(pictures[metric][1], optimize=True))
