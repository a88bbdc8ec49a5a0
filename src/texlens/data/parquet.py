"""Examples in Parquet, with the Hugging Face feature metadata, so that `image` loads as `Image`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from texlens.errors import InputError
from texlens.records import Example
from texlens.runs import atomic_write

_ROWS_A_GROUP = 1000
_BYTES_A_GROUP = 64 << 20  # of pictures: photographs are gathered in smaller groups
_READ_BUFFER = 1 << 20  # bytes
_COLUMNS = ["id", "image", "latex_formula", "source", "kind"]


_TYPES = dict.fromkeys(_COLUMNS, pa.string()) | {
    "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})
}
_FEATURES: dict[str, dict[str, str]] = {
    name: {"_type": "Image"} if name == "image" else {"dtype": "string", "_type": "Value"}
    for name in _COLUMNS
}
_SCHEMA = pa.schema(_TYPES, {"huggingface": json.dumps({"info": {"features": _FEATURES}})})


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples in their order, atomically and with bounded memory; returns how many."""
    count = 0
    with atomic_write(path) as file, pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        for batch in _groups(examples):
            count += len(batch)
            rows = [asdict(e) | {"image": {"bytes": e.image, "path": None}} for e in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
    return count


def _groups(examples: Iterable[Example]) -> Iterator[list[Example]]:
    group: list[Example] = []
    size = 0
    for example in examples:
        group.append(example)
        size += len(example.image)
        if len(group) == _ROWS_A_GROUP or size >= _BYTES_A_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file to be read in small pieces, however large its row groups are.

    By default PyArrow reads a whole column of a row group before it gives the first row.
    """
    return pq.ParquetFile(path, buffer_size=_READ_BUFFER, pre_buffer=False)


def read_examples(path: Path, limit: int | None = None) -> Iterator[Example]:
    """The examples of a Parquet file, in order, with bounded memory.

    `id`, `image` and `latex_formula` must be there; other columns may be.
    Raises InputError for another file.
    """
    try:
        table = open_parquet(path)
    except OSError as error:
        reason = "it is a folder" if path.is_dir() else error.strerror or "it cannot be read"
        raise InputError(f"Cannot read '{path}': {reason}.") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"'{path}' is not a Parquet file.") from error
    names = table.schema_arrow.names
    missing = [name for name in _COLUMNS[:3] if name not in names]
    if missing:
        raise InputError(f"'{path}' has no column {' and no column '.join(missing)}.")
    columns = [name for name in _COLUMNS if name in names]
    left = table.metadata.num_rows if limit is None else limit
    for batch in table.iter_batches(batch_size=256, columns=columns):
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


def count_examples(path: Path) -> int:
    """The number of rows, from the file's footer."""
    return int(pq.ParquetFile(path).metadata.num_rows)
