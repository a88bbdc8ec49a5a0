"""A user's own pictures with their LaTeX.

The captions lie in one CSV, TSV or JSON Lines file (a column for the picture's name, one for the
LaTeX), or in a `.txt` or `.tex` file beside each picture.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from texlens.data.corpora.base import FileCorpus, Locator, match_captions, require_folder
from texlens.data.corpora.files import FolderFiles
from texlens.data.items import Drop
from texlens.errors import InputError
from texlens.inputs import json_records, read_lines, read_text
from texlens.reading.pictures.opening import SUFFIXES
from texlens.records import Kind

_PICTURE_COLUMNS = ("image", "file", "file_name", "filename", "path", "picture", "img")
_TEXT_COLUMNS = ("latex_formula", "latex", "formula", "text", "caption", "label", "gt")


@dataclass(frozen=True)
class Folder(FileCorpus):
    """Pictures of one folder; `captions` None looks for a text file beside each picture."""

    files: FolderFiles
    captions: Path | None = None
    kind: Kind = "printed"

    name = "folder"

    @classmethod
    def open(cls, path: Path, captions: Path | None = None, kind: Kind = "printed") -> Folder:
        """The pictures under a folder. Raises InputError when there is no such folder."""
        return cls(FolderFiles(require_folder(path, "a folder with pictures")), captions, kind)

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture, LaTeX) of every picture that has both."""
        pictures = [file for file in self._files() if Path(file).suffix.lower() in SUFFIXES]
        if not pictures:
            raise InputError(f"There is no picture under '{self.files}'.")
        if self.captions is None:
            return self._beside(pictures)
        captions = read_caption_table(self.captions)
        return match_captions(captions, pictures, self._find, _locate)

    def _files(self) -> list[str]:
        folder = self.files.folder
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))

    def _find(self, name: str) -> str | None:
        folder = self.files.folder
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError("its path leaves the folder")
        return path.relative_to(folder).as_posix() if path.is_file() else None

    def _beside(self, pictures: list[str]) -> Iterator[Locator | Drop]:
        texts = {file for file in self._files() if file.endswith((".txt", ".tex"))}
        for picture in pictures:
            stem = picture.rpartition(".")[0]
            caption = next((stem + s for s in (".tex", ".txt") if stem + s in texts), None)
            if caption is None:
                yield Drop(picture, "read", "has no .txt or .tex beside it")
                continue
            texts.discard(caption)
            try:
                latex = self.files.read(caption).decode("utf-8-sig")
            except OSError as error:
                yield Drop(picture, "read", f"its caption cannot be read: {error.strerror}")
            except UnicodeDecodeError:
                yield Drop(picture, "read", f"its caption '{caption}' is not UTF-8")
            else:
                yield _locate(picture, latex.strip())
        for caption in sorted(texts):
            yield Drop(caption, "read", "is a caption without a picture")


def _locate(picture: str, latex: str) -> Locator:
    return Locator(picture, (picture, latex), source=Folder.name)


def read_caption_table(path: Path) -> list[tuple[str, str]]:
    """(picture, LaTeX) of every row of a CSV, TSV or JSON Lines file.

    Raises InputError naming the line for broken JSON, and for columns that cannot be found.
    """
    if path.suffix.lower() in (".jsonl", ".json"):
        records = []
        for where, record in json_records(path, read_text(path)):
            if not isinstance(record, dict):
                raise InputError(f"{where}: this is not a JSON object.")
            records.append(record)
    elif path.suffix.lower() in (".csv", ".tsv"):
        comma = "\t" if path.suffix.lower() == ".tsv" else ","
        # TeX has quotation marks of its own: a TSV has no quoting, a CSV the usual one.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if comma == "\t" else csv.QUOTE_MINIMAL
        text = "\n".join(read_lines(path))
        records = list(csv.DictReader(io.StringIO(text), delimiter=comma, quoting=quoting))
    else:
        raise InputError(f"'{path}' is no caption file: give a .csv, .tsv or .jsonl.")
    if not records:
        raise InputError(f"'{path}' has no rows.")
    columns = [str(key) for key in records[0]]
    picture = next((name for name in _PICTURE_COLUMNS if name in columns), None)
    latex = next((name for name in _TEXT_COLUMNS if name in columns), None)
    if picture is None or latex is None:
        raise InputError(
            f"'{path}' has the columns {', '.join(columns)}: needs one of "
            f"{', '.join(_PICTURE_COLUMNS)} and one of {', '.join(_TEXT_COLUMNS)}."
        )
    return [(str(r.get(picture) or ""), str(r.get(latex) or "")) for r in records]
