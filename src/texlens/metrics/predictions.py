"""Reading a file of predictions; an error names its file and line.

There are three forms: JSON Lines with `id`, `gt`, `pred` and any further fields; the JSON array of
`img_id`, `gt`, `pred` that the official CDM code reads; and CSV or TSV with a header. UTF-8, with
or without a byte order mark.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.inputs import json_records, name_of, read_text
from texlens.records import Prediction

_ID_KEYS = ("id", "img_id")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_CONTROL = {chr(code): f"\\x{code:02x}" for code in range(32)}


def read_predictions(path: Path, *, limit: int | None = None) -> list[Prediction]:
    """All predictions of a file, in its order; of the first `limit` lines if given.

    Raises InputError with the file and the line when the file cannot be read, is not UTF-8, breaks
    its format, lacks a key, has an id twice, or has no rows.
    """
    text = read_text(path)
    if path.suffix.lower() in _DELIMITERS:
        rows = _table_rows(path, text, _DELIMITERS[path.suffix.lower()])
    else:
        rows = json_records(path, text)
    predictions: list[Prediction] = []
    seen: dict[str, str] = {}
    for where, row in rows:
        if limit is not None and len(predictions) == limit:
            break
        prediction = prediction_of(where, row)
        if prediction.id in seen:
            raise InputError(
                f"{where}: the id '{_shown(prediction.id)}' was already used in "
                f"{seen[prediction.id]}: ids must be unique."
            )
        seen[prediction.id] = where.removeprefix(f"{name_of(path)}, ")
        predictions.append(prediction)
    if not predictions:
        raise InputError(f"{path}: there are no rows.")
    return predictions


def _table_rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row:
                raise InputError(f"{where}: there are more cells than the header has names.")
            # A short row leaves None in the cells it lacks: those keys are missing.
            yield where, {key: value for key, value in row.items() if value is not None}
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}.") from error


def prediction_of(where: str, row: object) -> Prediction:
    """The prediction of a mapping with an id, `gt`, `pred` and any further fields.

    Raises InputError, which begins with `where`, when it is none.
    """
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: this is not an object with id, gt and pred.")
    id_key = next((key for key in _ID_KEYS if key in row), "id")
    for key in (id_key, "gt", "pred"):
        if key not in row:
            raise InputError(f"{where}: the key '{key}' is missing.")
    id_ = row[id_key]
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    for key, value in ((id_key, id_), ("gt", row["gt"]), ("pred", row["pred"])):
        if not isinstance(value, str):
            raise InputError(f"{where}: '{key}' is not a text.")
    extra = {key: value for key, value in row.items() if key not in (id_key, "gt", "pred")}
    return Prediction(id_, row["gt"], row["pred"], extra)


def _shown(id_: str) -> str:
    """An id for a message: one short line."""
    shown = "".join(_CONTROL.get(character, character) for character in id_[:80])
    return shown.encode("utf-8", errors="backslashreplace").decode()
