"""Corpora in Parquet, with a picture column and a text column.

A picture is the struct {bytes, path} of the Hugging Face `Image` feature, or plain bytes. The name
of a file, or of a folder above it, contains the split of its rows: `train-00000-of-00003.parquet`,
`test.parquet`, `human_handwrite/validation/0000.parquet`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from texlens.addresses import place, reason
from texlens.data.corpora.base import Locator, Origin, split_of
from texlens.data.items import Drop, RawItem, Sizes
from texlens.data.parquet import check_types, open_parquet
from texlens.errors import InputError, TexlensError
from texlens.records import Kind

_ROWS_A_BATCH = 64
_SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<total>\d{5}).*\.parquet")
_TEXT_COLUMNS = ("latex_formula", "text", "latex", "formula")  # the first that is there


@dataclass(frozen=True)
class ParquetCorpus:
    """The rows of one Parquet file, or of the `.parquet` files of a data set, in order of names.

    The place of a locator is (file, row group, row of the group). `part` is the folder that the
    files are in where `path` is a whole data set of the hub, whose other folders are not read.
    """

    name: str
    path: Path
    part: str = ""
    kind: Kind = "printed"
    sizes: Sizes | None = None
    keep_splits: bool = True
    origins: tuple[Origin, ...] = ()

    def locators(self) -> Iterator[Locator | Drop]:
        """The rows. Every file is opened before the first of them is given."""
        root, files = self._files()
        tables = [(file, _open(file)) for file in files]
        _check_columns(tables)
        for file, table in tables:
            relative = file.relative_to(root).with_suffix("")
            split = split_of(reversed(relative.parts)) if self.keep_splits else None
            for group in range(table.num_row_groups):
                if "id" in table.schema_arrow.names:
                    ids = table.read_row_group(group, columns=["id"]).column("id").to_pylist()
                else:
                    rows = range(table.metadata.row_group(group).num_rows)
                    ids = [f"{relative.as_posix()}-{group}-{row}" for row in rows]
                for row, label in enumerate(ids):
                    yield Locator(str(label), (str(file), group, row), split, self.name)

    def _files(self) -> tuple[Path, list[Path]]:
        """The Parquet files, and the folder that their ids count from."""
        try:
            if self.path.is_file():
                return self.path.parent, [self.path]
            root = self.path / self.part
            if not root.is_dir():
                root = self.path  # a part alone
            files = sorted(root.rglob("*.parquet"))
        except OSError as error:
            raise InputError(f"Cannot read '{self.path}': {reason(error)}.") from error
        if not files:
            raise InputError(f"There is no .parquet file at '{root}'.")
        _check_shards(files)
        return root, files

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the rows, streaming through each row group. Raises TexlensError for a damaged one."""
        for (file, group), wanted in groupby(locators, key=lambda locator: locator.place[:2]):
            rows = _open_rows(file, group)
            for locator in wanted:
                image, text = rows.at(locator.place[2])
                content = image.get("bytes") if isinstance(image, dict) else image
                if not content:
                    yield Drop(locator.id, "read", "has no picture")
                elif text is None:
                    yield Drop(locator.id, "read", "has no LaTeX")
                else:
                    yield RawItem(
                        locator.id, content, str(text), self.kind, self.name, locator.split
                    )


def _check_shards(files: list[Path]) -> None:
    """Raise InputError when a file of `train-00000-of-00003.parquet` and its like is missing."""
    found: Counter[tuple[Path, str, str]] = Counter()
    for file in files:
        if shard := _SHARD.fullmatch(file.name):
            found[file.parent, shard["split"], shard["total"]] += 1
    for (folder, split, total), n in found.items():
        if n != int(total):
            raise InputError(
                f"'{folder}' has {n} of the {int(total)} files {split}-*-of-{total}.parquet: fetch "
                "the others."
            )


def _open(file: Path) -> Any:
    import pyarrow as pa

    try:
        table = open_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"'{file}' is not a readable Parquet file ({reason(error)}): delete it and fetch it again."
        ) from error
    names = table.schema_arrow.names
    if "image" not in names or _text_column(names) is None:
        raise InputError(
            f"'{file}' has the columns {', '.join(names)}: "
            f"needs image and {' or '.join(_TEXT_COLUMNS)}."
        )
    check_types(file, table.schema_arrow, str(_text_column(names)))
    return table


def _check_columns(tables: Sequence[tuple[Path, Any]]) -> None:
    """Raise InputError where files have their LaTeX in different columns: it may not be the same."""
    used = {_text_column(table.schema_arrow.names): file for file, table in tables}
    if len(used) > 1:
        places = " and ".join(f"'{column}' of '{file}'" for column, file in used.items())
        raise InputError(f"The LaTeX is in {places}: all files of a corpus need the same columns.")


def _text_column(names: Sequence[str]) -> str | None:
    return next((name for name in _TEXT_COLUMNS if name in names), None)


class _Rows:
    """The rows of a row group, read forwards and kept open between calls.

    Many writers put a whole file into one row group. It is neither held in memory nor read again
    for every chunk: a row further on continues where the last call ended.
    """

    def __init__(self, file: str, group: int) -> None:
        self._file, self._group = place(file), group
        self._rewind()

    def _rewind(self) -> None:
        try:
            table = open_parquet(self._file)
        except OSError as error:  # on a node that has it not, or may not
            raise TexlensError(
                f"Cannot read '{self._file}': {reason(error)}. Run the same command to go on."
            ) from error
        self._columns = ["image", _text_column(table.schema_arrow.names)]
        self._batches = table.iter_batches(
            batch_size=_ROWS_A_BATCH, row_groups=[self._group], columns=self._columns
        )
        self._first = 0
        self._batch = self._next_batch()

    def _next_batch(self) -> Any:
        import pyarrow as pa

        try:
            return next(self._batches)
        except (OSError, pa.ArrowException, StopIteration) as error:
            raise TexlensError(
                f"'{self._file}' is damaged in row group {self._group}, or ended there "
                f"({reason(error) or 'too few rows'}): run the same command to go on, fetch the file again if this repeats."
            ) from error

    def at(self, row: int) -> tuple[Any, Any]:
        """The picture and the text of a row of the group, as they are stored."""
        if row < self._first:
            self._rewind()
        while row >= self._first + self._batch.num_rows:
            self._first += self._batch.num_rows
            self._batch = self._next_batch()
        image, text = (self._batch.column(name)[row - self._first] for name in self._columns)
        return image.as_py(), text.as_py()


_open_rows = lru_cache(maxsize=1)(_Rows)
