"""Corpora in Parquet, with a picture column and a text column.

A picture is the struct {bytes, path} of the Hugging Face `Image` feature, or plain bytes. The name
of a file contains the split of its rows (`train-00000-of-00003.parquet`, `test.parquet`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from texlens.data.corpora.base import Locator, split_of
from texlens.data.items import Drop, RawItem, Sizes
from texlens.data.parquet import open_parquet
from texlens.errors import InputError
from texlens.records import Kind

_ROWS_A_BATCH = 64
_TEXT_COLUMNS = ("latex_formula", "text", "latex", "formula")  # the first that is there


@dataclass(frozen=True)
class ParquetCorpus:
    """The rows of one Parquet file, or of every `.parquet` under a folder, in order of file names."""

    name: str
    path: Path
    kind: Kind = "printed"
    sizes: Sizes | None = None
    keep_splits: bool = True

    def locators(self) -> Iterator[Locator | Drop]:
        """(file, row group, row of the group, id)."""
        import pyarrow as pa

        files = [self.path] if self.path.is_file() else sorted(self.path.rglob("*.parquet"))
        if not files:
            raise InputError(f"There is no .parquet file at '{self.path}'.")
        for file in files:
            try:
                table = open_parquet(file)
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(f"'{file}' is not a readable Parquet file: {error}.") from error
            names = table.schema_arrow.names
            if "image" not in names or _text_column(names) is None:
                raise InputError(
                    f"'{file}' has the columns {', '.join(names)}: "
                    f"needs image and {' or '.join(_TEXT_COLUMNS)}."
                )
            for group in range(table.num_row_groups):
                if "id" in names:
                    ids = table.read_row_group(group, columns=["id"]).column("id").to_pylist()
                else:
                    rows = range(table.metadata.row_group(group).num_rows)
                    ids = [f"{file.stem}-{group}-{row}" for row in rows]
                for row, label in enumerate(ids):
                    yield str(file), group, row, str(label)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the rows, streaming through each row group."""
        for (file, group), wanted in groupby(locators, key=lambda locator: locator[:2]):
            split = split_of(re.split("[-_]", Path(file).stem)) if self.keep_splits else None
            rows = _open_rows(file, group)
            for _, _, row, label in wanted:
                image, text = rows.at(row)
                content = image.get("bytes") if isinstance(image, dict) else image
                if not content:
                    yield Drop(label, "read", "has no picture")
                elif text is None:
                    yield Drop(label, "read", "has no LaTeX")
                else:
                    yield RawItem(label, content, str(text), self.kind, self.name, split)


def _text_column(names: Sequence[str]) -> str | None:
    return next((name for name in _TEXT_COLUMNS if name in names), None)


class _Rows:
    """The rows of a row group, read forwards and kept open between calls.

    Many writers put a whole file into one row group. It is neither held in memory nor read again
    for every chunk: a row further on continues where the last call ended.
    """

    def __init__(self, file: str, group: int) -> None:
        self._file, self._group = Path(file), group
        self._rewind()

    def _rewind(self) -> None:
        table = open_parquet(self._file)
        self._columns = ["image", _text_column(table.schema_arrow.names)]
        self._batches = table.iter_batches(
            batch_size=_ROWS_A_BATCH, row_groups=[self._group], columns=self._columns
        )
        self._first = 0
        self._batch = next(self._batches)

    def at(self, row: int) -> tuple[Any, Any]:
        """The picture and the text of a row of the group, as they are stored."""
        if row < self._first:
            self._rewind()
        while row >= self._first + self._batch.num_rows:
            self._first += self._batch.num_rows
            self._batch = next(self._batches)
        image, text = (self._batch.column(name)[row - self._first] for name in self._columns)
        return image.as_py(), text.as_py()


_open_rows = lru_cache(maxsize=1)(_Rows)
