"""Corpora published as Parquet with a picture column and a text column.

A picture is the struct {bytes, path} of the Hugging Face `Image` feature, or plain bytes. The name
of a file says which split its rows belong to (`train-00000-of-00003.parquet`, `test.parquet`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from texlens.data.items import Drop, RawItem, Split
from texlens.data.sources.base import Reference
from texlens.errors import InputError
from texlens.records import Kind


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

    def references(self) -> Iterator[Reference | Drop]:
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

    def load(self, references: Sequence[Reference]) -> Iterator[RawItem | Drop]:
        """Read each row group that is touched once."""
        import pyarrow.parquet as pq

        for (file, group), wanted in groupby(references, key=lambda reference: reference[:2]):
            table = pq.ParquetFile(file)
            image_column, text_column = self._columns(Path(file), table.schema_arrow.names)
            rows = list(wanted)
            columns = table.read_row_group(group, columns=[image_column, text_column])
            columns = columns.take([row for _, _, row, _ in rows])
            images = columns.column(image_column).to_pylist()
            texts = columns.column(text_column).to_pylist()
            split = _split_of(Path(file)) if self.keep_splits else None
            for (_, _, _, label), image, text in zip(rows, images, texts, strict=True):
                content = image.get("bytes") if isinstance(image, dict) else image
                if not content:
                    yield Drop(label, "read", "has no picture")
                elif text is None:
                    yield Drop(label, "read", "has no LaTeX")
                else:
                    yield RawItem(label, content, str(text), self.kind, self.name, split)

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


def _split_of(file: Path) -> Split | None:
    words = file.stem.lower().replace("-", "_").split("_")
    for prefix, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        if any(word.startswith(prefix) for word in words):
            return split  # type: ignore[return-value]
    return None
