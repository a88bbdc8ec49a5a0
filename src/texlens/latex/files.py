"""Reading formulas from text, JSON Lines, JSON and TeX files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.inputs import json_records, name_of, read_text

# The keys of a record's formula if none is given.
_KEYS = ("latex_formula", "latex", "formula")


@dataclass(frozen=True, slots=True)
class SourcedFormula:
    """A formula and where it came from: file and line or item, file, or `argument N`."""

    source: str
    latex: str


def read_formulas(files: Iterable[Path], key: str | None = None) -> list[SourcedFormula]:
    """Read the formulas of files; `-` is standard input.

    A `.tex` file is one formula. A `.jsonl` file has one string or record a line, a `.json` file
    an array of them; `key` names the formula in a record. Any other file has one formula a line;
    empty lines are skipped.

    Raises InputError, naming file and line, for a file that cannot be read.
    """
    return [formula for file in files for formula in _formulas(file, key)]


def _formulas(file: Path, key: str | None) -> Iterator[SourcedFormula]:
    text = read_text(file)
    kind = file.suffix.lower()
    if kind == ".tex":
        if text.strip():
            yield SourcedFormula(name_of(file), text)
    elif kind in (".json", ".jsonl"):
        for where, record in json_records(file, text):
            yield SourcedFormula(where, _formula(record, key, where))
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield SourcedFormula(f"{name_of(file)}, line {number}", line.rstrip("\r"))


def _formula(record: Any, key: str | None, where: str) -> str:
    if isinstance(record, str) and key is None:
        return record
    if not isinstance(record, dict):
        raise InputError(f"{where}: this is not a record with a formula.")
    for name in [key] if key is not None else _KEYS:
        if isinstance(record.get(name), str):
            return str(record[name])
    names = ", ".join(map(str, record)) or "none"
    wanted = f"'{key}'" if key is not None else "of a formula"
    raise InputError(
        f"{where}: there is no text under a key {wanted}; the keys are {names}: --key."
    )
