"""A user's own pictures with their LaTeX.

The captions lie in one CSV, TSV or JSON Lines file (a column for the picture's name, one for the
LaTeX), or in a `.txt` or `.tex` file beside each picture.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from texlens.data.corpora.base import Locator, inside, read_caption_lines, require_folder
from texlens.data.items import Drop, RawItem
from texlens.errors import InputError
from texlens.records import Kind

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_PICTURE_COLUMNS = ("image", "file", "file_name", "filename", "path", "picture", "img")
_TEXT_COLUMNS = ("latex_formula", "latex", "formula", "text", "caption", "label", "gt")


@dataclass(frozen=True)
class Folder:
    """Pictures under `folder`; `captions` None looks for a text file beside each picture."""

    folder: Path
    captions: Path | None = None
    kind: Kind = "printed"
    name: str = "folder"
    sizes: tuple[int, int, int] | None = None

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture relative to the folder, LaTeX or None, name of its caption file or None)."""
        require_folder(self.folder, "a folder with pictures")
        pictures = sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.suffix.lower() in PICTURES
        )
        if not pictures:
            raise InputError(f"There is no picture under '{self.folder}'.")
        if self.captions is None:
            yield from self._beside(pictures)
        else:
            yield from self._listed(pictures, self.captions)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read each picture, and its caption file where it has one."""
        for picture, latex, caption_file in locators:
            try:
                image = (self.folder / picture).read_bytes()
                if latex is None:
                    latex = (self.folder / caption_file).read_bytes().decode("utf-8-sig").strip()
            except OSError as error:
                yield Drop(picture, "read", f"cannot be read: {error.strerror}")
            except UnicodeDecodeError:
                yield Drop(picture, "read", f"its caption '{caption_file}' is not UTF-8")
            else:
                yield RawItem(picture, image, latex, self.kind, self.name)

    def _beside(self, pictures: list[str]) -> Iterator[Locator | Drop]:
        texts = {
            path.relative_to(self.folder).as_posix()
            for suffix in (".txt", ".tex")
            for path in self.folder.rglob(f"*{suffix}")
        }
        for picture in pictures:
            stem = picture.rpartition(".")[0]
            caption = next((stem + s for s in (".tex", ".txt") if stem + s in texts), None)
            if caption is None:
                yield Drop(picture, "read", "has no .txt or .tex beside it")
            else:
                texts.discard(caption)
                yield (picture, None, caption)
        for caption in sorted(texts):
            yield Drop(caption, "read", "is a caption without a picture")

    def _listed(self, pictures: list[str], captions: Path) -> Iterator[Locator | Drop]:
        rows = read_caption_table(captions)
        times = Counter(name for name, _ in rows)
        left = set(pictures)
        for name, latex in rows:
            path = inside(self.folder, name)
            if path is None:
                yield Drop(name, "read", "its path leaves the folder")
            elif times[name] > 1:
                left.discard(name)
                yield Drop(name, "read", "has several captions")
            elif not path.is_file():
                yield Drop(name, "read", "is a caption without a picture")
            else:
                left.discard(path.relative_to(self.folder).as_posix())
                yield (name, latex, None)
        for picture in sorted(left):
            yield Drop(picture, "read", "has no caption")


def read_caption_table(path: Path) -> list[tuple[str, str]]:
    """(picture, LaTeX) of every row of a CSV, TSV or JSON Lines file.

    Raises InputError naming the line for broken JSON, and for columns that cannot be found.
    """
    lines = read_caption_lines(path)
    if path.suffix.lower() in (".jsonl", ".json"):
        records = []
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(f"'{path}' line {number} is not JSON: {error.msg}.") from error
                if not isinstance(record, dict):
                    raise InputError(f"'{path}' line {number} is not a JSON object.")
                records.append(record)
    elif path.suffix.lower() in (".csv", ".tsv"):
        comma = "\t" if path.suffix.lower() == ".tsv" else ","
        # TeX has quotation marks of its own: a TSV has no quoting, a CSV the usual one.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if comma == "\t" else csv.QUOTE_MINIMAL
        records = list(
            csv.DictReader(io.StringIO("\n".join(lines)), delimiter=comma, quoting=quoting)
        )
    else:
        raise InputError(f"'{path}' is no caption file: give a .csv, .tsv or .jsonl.")
    if not records:
        raise InputError(f"'{path}' has no rows.")
    columns = [str(key) for key in records[0]]
    picture = next((name for name in _PICTURE_COLUMNS if name in columns), None)
    text = next((name for name in _TEXT_COLUMNS if name in columns), None)
    if picture is None or text is None:
        raise InputError(
            f"'{path}' has the columns {', '.join(columns)}: needs one of "
            f"{', '.join(_PICTURE_COLUMNS)} and one of {', '.join(_TEXT_COLUMNS)}."
        )
    return [(str(r.get(picture) or ""), str(r.get(text) or "")) for r in records]
