"""Reading formulas from text, JSON Lines, JSON and TeX files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texlens.errors import InputError

# The keys of a record's formula if none is given.
_KEYS = ("latex_formula", "latex", "formula")


@dataclass(frozen=True, slots=True)
class SourcedFormula:
    """A formula and where it came from: file and line, or file."""

    source: str
    latex: str


def read_formulas(files: Iterable[Path], key: str | None = None) -> list[SourcedFormula]:
    """Read the formulas of files; `-` is standard input.

    A `.tex` file is one formula. A `.jsonl` file has one string or record a line, a `.json` file
    an array of them; `key` names the formula in a record. Any other file has one formula a line;
    empty lines are skipped.

    Raises InputError naming file and line for what cannot be read.
    """
    return [formula for file in files for formula in _formulas(file, key)]


def _formulas(file: Path, key: str | None) -> Iterator[SourcedFormula]:
    name = "standard input" if str(file) == "-" else f"'{file}'"
    text = _text(file, name)
    kind = file.suffix.lower()
    if kind == ".tex":
        if text.strip():
            yield SourcedFormula(name, text)
    elif kind == ".json":
        records = _json(text, name)
        if not isinstance(records, list):
            raise InputError(
                f"{name} contains no JSON array: give an array of formulas or records."
            )
        for number, record in enumerate(records, 1):
            source = f"{name} item {number}"
            yield SourcedFormula(source, _formula(record, key, source))
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            source = f"{name} line {number}"
            if kind == ".jsonl":
                yield SourcedFormula(source, _formula(_json(line, source), key, source))
            else:
                yield SourcedFormula(source, line.rstrip("\r"))


def _text(file: Path, name: str) -> str:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read {name}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 text (byte {error.start}): convert it to UTF-8."
        ) from error


def _json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source} is not JSON: {reason}.") from error


def _formula(record: Any, key: str | None, source: str) -> str:
    if isinstance(record, str) and key is None:
        return record
    if isinstance(record, dict):
        for name in [key] if key is not None else _KEYS:
            if isinstance(record.get(name), str):
                return str(record[name])
        names = ", ".join(map(str, record)) or "none"
        wanted = f"'{key}'" if key is not None else "of a formula"
        raise InputError(f"{source} has no text under a key {wanted}; its keys are {names}: --key.")
    raise InputError(f"{source} is not a record with a formula.")
