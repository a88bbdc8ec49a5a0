"""The output of `read` and `watch`: lines, one JSON document, or a Word document."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO

from texlens.errors import InputError
from texlens.export import FORMATS
from texlens.records import WARNINGS, Reading

# Tabs, controls and whatever else could end a line.
_LINE_BREAKS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+")

NO_LOGPROBS = "no_logprobs"  # shows as `?` in place of the confidence


@dataclass
class Tally:
    """How many readings there were, and how many of them failed."""

    count: int = 0
    failed: int = 0

    def of(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """The readings, counted as they pass."""
        for reading in readings:
            self.count += 1
            self.failed += reading.error is not None
            yield reading

    def fail(self, reading: Reading, error: InputError) -> None:
        """Count and report a reading that cannot be converted."""
        print(f"{reading.path}: {error}", file=sys.stderr)
        self.failed += 1


def print_json(readings: Iterable[Reading], stream: IO[str]) -> None:
    """Write one JSON document, reading by reading."""
    opening = '{\n  "readings": ['
    for reading in readings:
        record = json.dumps(reading.as_json(), indent=2, ensure_ascii=False)
        print(opening, record.replace("\n", "\n    "), sep="\n    ", end="", file=stream)
        opening = ","
    print("\n  ]\n}" if opening == "," else f"{opening}]\n}}", file=stream)


def print_lines(readings: Iterable[Reading], form: str, stream: IO[str], tally: Tally) -> list[str]:
    """Write readings as they come, each in a format; a single one without its path.

    Returns the formulas as they were printed.
    """
    readings = iter(readings)
    first = list(islice(readings, 2))
    texts = [
        print_line(reading, form, stream, tally, alone=len(first) == 1)
        for reading in chain(first, readings)
    ]
    return [text for text in texts if text is not None]


def print_line(
    reading: Reading, form: str, stream: IO[str], tally: Tally, *, alone: bool = False
) -> str | None:
    """Print one reading, with path and confidence unless `alone`; returns the formula, if printed."""
    print_problems(reading)
    if reading.error is not None:
        return None
    text = reading.latex
    try:
        if text and form != "latex":
            text = FORMATS[form].write(text)
    except InputError as error:
        tally.fail(reading, error)
        return None
    line = _LINE_BREAKS.sub(" ", text)
    if alone:
        print(line if form == "latex" else text, file=stream, flush=True)
    else:
        sure = "?" if NO_LOGPROBS in reading.warnings else f"{reading.confidence:.2f}"
        print(f"{reading.path}\t{sure}\t{line}", file=stream, flush=True)
    return text


def word_document(readings: Iterable[Reading], tally: Tally) -> bytes:
    """A Word document: each picture's name with its equation below.

    A formula that cannot be converted stands there as LaTeX, and counts as failed.
    """
    from texlens.export.word import WordDocument

    document = WordDocument()
    for reading in readings:
        print_problems(reading)
        document.add_text(reading.path)
        if reading.error is not None or not reading.latex:
            document.add_text(reading.error or "No formula was found.")
            continue
        try:
            document.add_formula(reading.latex)
        except InputError as error:
            tally.fail(reading, error)
            document.add_text(reading.latex)
    return document.content()


def print_problems(reading: Reading) -> None:
    """Print the error or the warnings of a reading on stderr."""
    if reading.error is not None:
        print(f"texlens: {reading.error}", file=sys.stderr)
    for warning in (code for code in reading.warnings if code != NO_LOGPROBS):
        print(f"{reading.path}: {WARNINGS[warning]}", file=sys.stderr)
