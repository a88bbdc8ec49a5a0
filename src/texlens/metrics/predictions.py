"""Predictions in files: how they are read and written, and which references they have.

A file of predictions is what recognisers, `texlens score` and `texlens compare` exchange. It is read
as JSON Lines with `id`, `gt` (reference), `pred` (prediction) and any further fields; as the JSON
array of `img_id`, `gt`, `pred` that the official CDM code reads; as CSV or TSV with a header; or as
Parquet. `NAMES` has other names that these columns may have. Text is UTF-8, with or without a byte
order mark. It is written as JSON Lines. An error names the file and the line.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from texlens.addresses import reason
from texlens.errors import InputError, require_extra
from texlens.inputs import json_records, name_of, read_text
from texlens.latex import normalize
from texlens.records import Prediction
from texlens.runs import write_json_lines

PREDICTIONS = "predictions.jsonl"
"""The file of this name is in every folder of scores and of an evaluation."""

NAMES = {
    "id": ("id", "img_id", "image_id", "sample_id", "file_name", "filename"),
    "gt": ("gt", "reference", "ref", "ground_truth", "target", "label", "latex_formula"),
    "pred": ("pred", "prediction", "hypothesis", "hyp", "generated_text", "output"),
}
"""The names of the three columns; the first that is there counts."""

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
"""The files of a folder of shards."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_CONTROL = {chr(code): f"\\x{code:02x}" for code in range(32)}


def read_predictions(files: Path | Sequence[Path], *, limit: int | None = None) -> list[Prediction]:
    """All predictions of a file, or of the shards of one, in order; of the first `limit` lines if given.

    Raises InputError with the file and the line when a file cannot be read, is not UTF-8, breaks its
    format, lacks a key, has an id twice, or when there are no rows.
    """
    files = [files] if not isinstance(files, Sequence) else files
    predictions: list[Prediction] = []
    seen: dict[str, str] = {}
    for where, row in chain.from_iterable(map(_rows, files)):
        if limit is not None and len(predictions) == limit:
            break
        prediction = prediction_of(where, row)
        if prediction.id in seen:
            first = seen[prediction.id]
            if len(files) == 1:
                first = first.removeprefix(f"{name_of(files[0])}, ")
            raise InputError(
                f"{where}: the id '{shown_id(prediction.id)}' was already used in {first}: ids must "
                "be unique."
            )
        seen[prediction.id] = where
        predictions.append(prediction)
    if not predictions:
        raise InputError(f"{', '.join(map(str, files))}: there are no rows.")
    return predictions


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix in _DELIMITERS:
        return _table_rows(path, read_text(path), _DELIMITERS[suffix])
    return json_records(path, read_text(path))


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions as JSON Lines, atomically."""
    write_json_lines(path, map(prediction_record, predictions))


def prediction_record(prediction: Prediction) -> dict[str, Any]:
    """The line of a prediction: `id`, `gt`, `pred`, and its further fields."""
    return {"id": prediction.id, "gt": prediction.gt, "pred": prediction.pred} | prediction.extra


def references_sha256(references: Mapping[str, str]) -> str:
    """A hash over ids and references, in whatever order: systems that have it can be compared.

    References count as equal where their normal forms are: spaces, `$...$` around the formula and
    other spellings of one picture make no difference.

    Args:
        references: reference by id.
    """
    content = hashlib.sha256()
    for id_, reference in sorted(references.items()):
        for text in (id_, normalize(reference)):
            part = text.encode("utf-8", errors="surrogatepass")
            content.update(len(part).to_bytes(8, "little"))
            content.update(part)
    return content.hexdigest()


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


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a Parquet file, without its pictures."""
    require_extra("Reading Parquet", "data", "pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = path if isinstance(path, Path) else path.open("rb")  # of an object store
        table = pq.ParquetFile(source, pre_buffer=False)
        columns = [
            field.name
            for field in table.schema_arrow
            if not (pa.types.is_struct(field.type) or pa.types.is_binary(field.type))
        ]
        batches = table.iter_batches(batch_size=1024, columns=columns)
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            yield f"{path}, row {number}", row
    except pa.ArrowInvalid as error:
        raise InputError(f"'{path}' is not a Parquet file.") from error
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {reason(error)}.") from error


def prediction_of(where: str, row: object) -> Prediction:
    """The prediction of a mapping with an id, `gt`, `pred` and any further fields.

    Raises InputError, which begins with `where`, when it is none.
    """
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: this is not an object with id, gt and pred.")
    keys = {
        name: next((key for key in aliases if key in row), name) for name, aliases in NAMES.items()
    }
    found: dict[str, str] = {}
    for name, key in keys.items():
        if key not in row:
            raise InputError(f"{where}: the key '{key}' is missing.")
        value = row[key]
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise InputError(f"{where}: '{key}' is not a text.")
        found[name] = value
    extra = {key: value for key, value in row.items() if key not in keys.values()}
    return Prediction(found["id"], found["gt"], found["pred"], extra)


def shown_id(id_: str) -> str:
    """An id for a message: one short line."""
    shown = "".join(_CONTROL.get(character, character) for character in id_[:80])
    return shown.encode("utf-8", errors="backslashreplace").decode()
