"""Corpora published as Parquet with a picture column and a text column.

A picture is the struct {bytes, path} of the Hugging Face `Image` feature, or plain bytes. The name
of a file says which split its rows belong to (`train-00000-of-00003.parquet`, `test.parquet`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from texlens.data.corpora.base import Locator
from texlens.data.items import Drop, RawItem, Split
from texlens.data.parquet import open_parquet
from texlens.errors import InputError
from texlens.records import Kind

_ROWS_A_BATCH = 64


@dataclass(frozen=True)
class ParquetCorpus:
    """The rows of one Parquet file, or of every `.parquet` under a folder, in order of file names.

    `text_column` None takes the first of latex_formula, text, latex, formula that is there.
    """

    name: str
    path: Path
    kind: Kind = "printed"
    text_column: str | None = None
    sizes: tuple[int, int, int] | None = None
    keep_splits: bool = True

    def locators(self) -> Iterator[Locator | Drop]:
        """(file, row group, row of the group, id)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file in self._files():
            try:
                table = pq.ParquetFile(file)
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(f"'{file}' is not a readable Parquet file: {error}.") from error
            self._columns(file, table.schema_arrow.names)
            ids = "id" in table.schema_arrow.names
            for group in range(table.num_row_groups):
                names = (
                    table.read_row_group(group, columns=["id"]).column("id").to_pylist()
                    if ids
                    else range(table.metadata.row_group(group).num_rows)
                )
                for row, name in enumerate(names):
                    label = str(name) if ids else f"{file.stem}-{group}-{row}"
                    yield (str(file), group, row, label)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the rows, streaming through each row group."""
        for (file, group), wanted in groupby(locators, key=lambda locator: locator[:2]):
            split = _split_of(Path(file)) if self.keep_splits else None
            rows = _rows(file, group, self._columns_of(file))
            for _, _, row, label in wanted:
                image, text = rows.at(row)
                content = image.get("bytes") if isinstance(image, dict) else image
                if not content:
                    yield Drop(label, "read", "has no picture")
                elif text is None:
                    yield Drop(label, "read", "has no LaTeX")
                else:
                    yield RawItem(label, content, str(text), self.kind, self.name, split)

    def _columns_of(self, file: str) -> tuple[str, str]:
        import pyarrow.parquet as pq

        return self._columns(Path(file), pq.read_schema(file).names)

    def _files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        files = sorted(self.path.rglob("*.parquet"))
        if not files:
            raise InputError(f"There is no .parquet file at '{self.path}'.")
        return files

    def _columns(self, file: Path, names: list[str]) -> tuple[str, str]:
        candidates = (
            [self.text_column]
            if self.text_column
            else ["latex_formula", "text", "latex", "formula"]
        )
        text = next((name for name in candidates if name in names), None)
        if "image" not in names or text is None:
            raise InputError(
                f"'{file}' has the columns {', '.join(names)}: "
                f"needs image and {' or '.join(candidates)}."
            )
        return "image", text


class _Rows:
    """The rows of a row group, read forwards and kept open between calls.

    Many writers put a whole file into one row group. It is neither held in memory nor read anew for
    every chunk: a row further on continues where the last call ended.
    """

    def __init__(self, file: str, group: int, columns: tuple[str, str]) -> None:
        self._file, self._group, self._columns = file, group, columns
        self._start_anew()

    def _start_anew(self) -> None:
        self._batches = open_parquet(Path(self._file)).iter_batches(
            batch_size=_ROWS_A_BATCH, row_groups=[self._group], columns=list(self._columns)
        )
        self._first = 0
        self._batch = next(self._batches)

    def at(self, row: int) -> tuple[Any, Any]:
        """The picture and the text of a row of the group, as they are stored."""
        if row < self._first:
            self._start_anew()
        while row >= self._first + self._batch.num_rows:
            self._first += self._batch.num_rows
            self._batch = next(self._batches)
        image, text = (self._batch.column(name)[row - self._first] for name in self._columns)
        return image.as_py(), text.as_py()


@lru_cache(maxsize=1)
def _rows(file: str, group: int, columns: tuple[str, str]) -> _Rows:
    return _Rows(file, group, columns)


def _split_of(file: Path) -> Split | None:
    words = file.stem.lower().replace("-", "_").split("_")
    for prefix, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        if any(word.startswith(prefix) for word in words):
            return split  # type: ignore[return-value]
    return None
