"""Examples in Parquet, with the Hugging Face feature metadata, so that `image` loads as `Image`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from texlens.addresses import reason
from texlens.errors import InputError
from texlens.records import Example
from texlens.runs import atomic_write

_ROWS_A_GROUP = 1000
_BYTES_A_GROUP = 64 << 20  # of pictures: photographs are gathered in smaller groups
_READ_BUFFER = 1 << 20  # bytes
# A column as `datasets` describes it: a feature, a list of one, or a record of some.
Column = str | list["Column"] | dict[str, "Column"]
STRING: Column = "string"
IMAGE: Column = "image"

_COLUMNS: dict[str, Column] = {
    "id": STRING, "image": IMAGE, "latex_formula": STRING, "source": STRING, "kind": STRING,
}  # fmt: skip
_REQUIRED = ("id", "image", "latex_formula")


def _type(column: Column) -> pa.DataType:
    if isinstance(column, list):
        return pa.list_(_type(column[0]))
    if isinstance(column, dict):
        return pa.struct({name: _type(part) for name, part in column.items()})
    return (
        pa.struct({"bytes": pa.binary(), "path": pa.string()}) if column == IMAGE else pa.string()
    )


def _feature(column: Column) -> Any:
    if isinstance(column, list):
        return [_feature(column[0])]
    if isinstance(column, dict):
        return {name: _feature(part) for name, part in column.items()}
    return {"_type": "Image"} if column == IMAGE else {"dtype": "string", "_type": "Value"}


def _schema(columns: dict[str, Column]) -> pa.Schema:
    """The schema, with the metadata by which `datasets` loads the pictures as pictures."""
    features = {"info": {"features": {name: _feature(c) for name, c in columns.items()}}}
    types = {name: _type(column) for name, column in columns.items()}
    return pa.schema(types, {"huggingface": json.dumps(features)})


def picture_value(image: bytes) -> dict[str, Any]:
    """A picture as its column stores it."""
    return {"bytes": image, "path": None}


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples in their order, atomically and with bounded memory; returns how many."""
    rows = (asdict(example) | {"image": picture_value(example.image)} for example in examples)
    return write_rows(path, _COLUMNS, rows)


def write_rows(path: Path, columns: dict[str, Column], rows: Iterable[dict[str, Any]]) -> int:
    """Write rows in their order, atomically and with bounded memory; returns how many."""
    count, schema = 0, _schema(columns)
    with atomic_write(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _groups(rows):
            count += len(batch)
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return count


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        pictures = [row["image"]] if "image" in row else row["images"]
        size += sum(len(picture["bytes"]) for picture in pictures)
        if len(group) == _ROWS_A_GROUP or size >= _BYTES_A_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file to be read in small pieces, however large its row groups are.

    By default PyArrow reads a whole column of a row group before it gives the first row.
    """
    source = path if isinstance(path, Path) else path.open("rb")  # of an object store
    return pq.ParquetFile(source, buffer_size=_READ_BUFFER, pre_buffer=False)


def read_examples(path: Path, limit: int | None = None) -> Iterator[Example]:
    """The examples of a Parquet file, in order, with bounded memory.

    `id`, `image` and `latex_formula` must be there; other columns may be.
    Raises InputError for another file.
    """
    table = _with_examples(path)
    columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
    left = table.metadata.num_rows if limit is None else limit
    for batch in _whole_batches(path, table, columns):
        for row in batch.to_pylist()[:left]:
            left -= 1
            image = row["image"]
            yield Example(
                id=str(row["id"]),
                image=(image.get("bytes") if isinstance(image, dict) else image) or b"",
                latex_formula=row["latex_formula"] or "",
                source=row.get("source") or "",
                kind=row.get("kind") or "printed",
            )
        if left <= 0:
            return


def _whole_batches(
    path: Path, table: pq.ParquetFile, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    batches = table.iter_batches(batch_size=256, columns=columns)
    try:
        yield from batches
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"'{path}' is damaged, or could not be read to its end: {reason(error)}."
        ) from error


def read_ids(path: Path) -> list[str]:
    """The ids of a file of examples, in order, without its pictures. Raises as `read_examples`."""
    ids = _with_examples(path).read(columns=["id"])["id"]
    return [str(name) for name in ids.to_pylist()]


def count_examples(path: Path) -> int:
    """The number of rows, from the file's footer. Raises InputError for another file."""
    return int(_opened(path).metadata.num_rows)


def _with_examples(path: Path) -> pq.ParquetFile:
    """A file that has the columns of examples, or an InputError that names those that it has not."""
    table = _opened(path)
    missing = [name for name in _REQUIRED if name not in table.schema_arrow.names]
    if missing:
        raise InputError(f"'{path}' has no column {' and no column '.join(missing)}.")
    check_types(path, table.schema_arrow, "latex_formula")
    return table


def check_types(path: Path, schema: pa.Schema, text_column: str) -> None:
    """Raise InputError where `image` has no pictures, or the column of LaTeX no texts."""
    for name, fits, content in (
        ("image", _has_pictures, "pictures"),
        (text_column, _has_texts, "text"),
    ):
        found = schema.field(name).type
        if not (fits(found) or pa.types.is_null(found)):
            raise InputError(f"'{path}': the column '{name}' has no {content} but {found}.")


def _has_pictures(found: pa.DataType) -> bool:
    if pa.types.is_struct(found):
        names = [found.field(n).name for n in range(found.num_fields)]
        return "bytes" in names and _has_pictures(found.field("bytes").type)
    return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))


def _has_texts(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        return _has_texts(found.value_type)
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def _opened(path: Path) -> pq.ParquetFile:
    """The file, or an InputError that says why it cannot be read."""
    try:
        return open_parquet(path)
    except OSError as error:
        why = "it is a folder" if path.is_dir() else reason(error)
        raise InputError(f"Cannot read '{path}': {why}.") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"'{path}' is not a Parquet file, or was cut short.") from error
