"""The demonstration: the package's own pictures, read, scored, and shown on one page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from texlens.imports import is_installed
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.page import scoring_page
from texlens.metrics.scoring import Scoring, score_predictions
from texlens.reading import Reader
from texlens.reading.pictures.opening import picture_for_browsers
from texlens.reading.sources import Item
from texlens.records import Prediction, Reading
from texlens.runs import open_out_folder, write_text

PAGE = "report.html"
_KEYS = ("layout", "exprate_layout", "edit_tokens", "exprate", "exact")
_PLAIN_KEYS = ("exact",)  # where the extra `score` is not installed


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """A picture of the package: its reference, what it looks like, and whether it is too hard."""

    file: str
    content: bytes
    latex: str
    about: str
    hard: bool


def demo_pictures() -> list[DemoPicture]:
    """The pictures that come with the package, in the order of their names."""
    folder = resources.files("texlens") / "demo"
    lines = (folder / "demo.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        DemoPicture(content=(folder / record["file"]).read_bytes(), **record)
        for record in map(json.loads, lines)
    ]


def run_demo(
    reader: Reader,
    out: Path,
    show: Callable[[DemoPicture, Reading], None],
    *,
    force: bool = False,
) -> Scoring:
    """Read and score the pictures, and write the page into `out`.

    Args:
        reader: the model that reads.
        out: the folder to write.
        show: called with each picture and its reading, as soon as it is read.
        force: replace a finished page.

    Raises:
        InputError: `out` holds a finished page, and `force` is not given.
    """
    open_out_folder(out, marker=PAGE, force=force)
    pictures = demo_pictures()
    readings = reader.read_many(Item(picture.file, picture.content) for picture in pictures)
    predictions = []
    for picture, reading in zip(pictures, readings, strict=True):
        show(picture, reading)
        extra = {
            "confidence": reading.confidence,
            "about": picture.about,
            "warnings": list(reading.warnings),
        }
        predictions.append(Prediction(picture.file, picture.latex, reading.normal, extra))
    keys = _KEYS if is_installed("rapidfuzz") else _PLAIN_KEYS
    scoring = score_predictions(predictions, ScoringConfig(keys, cache=False), quiet=True)
    introduction = (
        f"{len(pictures)} pictures in fonts and sizes that are not in the training data, "
        f"read by {reader.name}. {sum(picture.hard for picture in pictures)} of them are meant to be "
        "too hard."
    )
    page = scoring_page(
        "TexLens demo",
        scoring,
        pictures=lambda _: {one.file: picture_for_browsers(one.content) for one in pictures},
        introduction=[introduction],
    )
    write_text(out / PAGE, page)
    return scoring
