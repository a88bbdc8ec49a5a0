"""The demonstration: the package's own pictures, read, scored, and shown on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from texlens.evaluate.run import picture_for_browsers
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.page import scoring_page
from texlens.metrics.scoring import Scoring, score_predictions
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Prediction, Reading
from texlens.runs import open_out_folder, write_text

PAGE = "report.html"
_KEYS = ("layout", "exprate_layout", "edit_tokens", "exprate", "exact")


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


class Demo:
    """One run of the demonstration into `out`; iterate over it for the readings, then `finish`.

    Raises InputError when `out` holds a finished page and `force` is not given.
    """

    def __init__(self, reader: Reader, out: Path, *, force: bool = False) -> None:
        self.out = open_out_folder(out, marker=PAGE, force=force)
        self.pictures = demo_pictures()
        self.reader = reader
        self.readings: list[Reading] = []

    def __iter__(self) -> Iterator[tuple[DemoPicture, Reading]]:
        items = (Item(picture.file, picture.content) for picture in self.pictures)
        for picture, reading in zip(self.pictures, self.reader.read_many(items), strict=True):
            self.readings.append(reading)
            yield picture, reading

    def finish(self) -> Scoring:
        """Score the readings and write the page."""
        predictions = [
            Prediction(
                picture.file,
                picture.latex,
                reading.latex,
                {
                    "confidence": reading.confidence,
                    "about": picture.about,
                    "warnings": list(reading.warnings),
                },
            )
            for picture, reading in zip(self.pictures, self.readings, strict=True)
        ]
        scoring = score_predictions(predictions, ScoringConfig(_KEYS, cache=False), quiet=True)
        introduction = (
            f"{len(self.pictures)} pictures in fonts and sizes that are not in the training data, "
            f"read by {self.reader.name}. {sum(picture.hard for picture in self.pictures)} of them "
            "are meant to be too hard."
        )
        page = scoring_page(
            "TexLens demo",
            scoring,
            pictures=(picture_for_browsers(picture.content) for picture in self.pictures),
            introduction=[introduction],
        )
        write_text(self.out / PAGE, page)
        return scoring
