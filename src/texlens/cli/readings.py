"""The output of `read` and `watch`: lines, one JSON document, or a Word document."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import click

from texlens.errors import InputError
from texlens.records import WARNINGS, Reading

# Tabs, controls and whatever else could end a line.
_LINE_BREAKS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+")

NO_LOGPROBS = "no_logprobs"  # shows as `?` in place of the confidence


def format_option(formats: Sequence[str], help_text: str) -> Callable[[Any], Any]:
    """The option `--format`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default="latex",
        show_default=True,
        help=help_text,
    )


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


def print_json(readings: Iterable[Reading], stream: IO[str]) -> None:
    """Write one JSON document, reading by reading."""
    opening = '{\n  "readings": ['
    for reading in readings:
        record = json.dumps(reading.as_json(), indent=2, ensure_ascii=False)
        print(opening, record.replace("\n", "\n    "), sep="\n    ", end="", file=stream)
        opening = ","
    print("\n  ]\n}" if opening == "," else f"{opening}]\n}}", file=stream)


def print_lines(
    readings: Iterable[Reading], form: str, stream: IO[str], tally: Tally
) -> Iterator[str]:
    """Write readings as they come, each in a format; a single one without its path.

    Yields the formulas as they were printed.
    """
    waiting: Reading | None = None
    for reading in readings:
        if waiting is not None:
            yield from print_line(waiting, form, stream, tally)
        waiting = reading
    if waiting is not None:
        yield from print_line(waiting, form, stream, tally, alone=tally.count == 1)


def print_line(
    reading: Reading, form: str, stream: IO[str], tally: Tally, *, alone: bool = False
) -> Iterator[str]:
    """Print one reading, with path and confidence unless `alone`; yields the formula, if printed."""
    print_problems(reading)
    text = converted(reading, form, tally) if reading.error is None else None
    if text is None:
        return
    line = _LINE_BREAKS.sub(" ", text)
    if alone:
        print(line if form == "latex" else text, file=stream, flush=True)
    else:
        sure = "?" if NO_LOGPROBS in reading.warnings else f"{reading.confidence:.2f}"
        print(f"{reading.path}\t{sure}\t{line}", file=stream, flush=True)
    yield text


def converted(reading: Reading, form: str, tally: Tally) -> str | None:
    """A reading's formula in a format; None, reported on stderr and counted, where that fails."""
    if form == "latex" or not reading.latex:
        return reading.latex
    from texlens.export import FORMATS

    try:
        return FORMATS[form].write(reading.latex)
    except InputError as error:
        print(f"{reading.path}: {error}", file=sys.stderr)
        tally.failed += 1
        return None


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
            print(f"{reading.path}: {error}", file=sys.stderr)
            document.add_text(reading.latex)
            tally.failed += 1
    return document.content()


def print_problems(reading: Reading) -> None:
    """Print the error or the warnings of a reading on stderr."""
    if reading.error is not None:
        print(f"texlens: {reading.error}", file=sys.stderr)
    for warning in (code for code in reading.warnings if code != NO_LOGPROBS):
        print(f"{reading.path}: {WARNINGS[warning]}", file=sys.stderr)
