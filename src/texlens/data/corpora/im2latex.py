"""im2latex-100k as published: a list of formulas, lists that split it, and rendered pictures.

Layout: `im2latex_formulas.lst` (one formula a line), `im2latex_train.lst`, `_validate.lst` and
`_test.lst` (line number of the formula, picture's name, kind of rendering), `formula_images/`.
The Parquet form is read by `tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from texlens.data.corpora.base import Locator, require_folder
from texlens.data.items import Drop, RawItem, Split
from texlens.errors import InputError

_LISTS: dict[str, Split] = {"train": "train", "validate": "validation", "test": "test"}


@dataclass(frozen=True)
class Im2latex:
    """The three splits under `folder`."""

    folder: Path
    name: str = "im2latex"
    sizes: tuple[int, int, int] | None = None

    def locators(self) -> Iterator[Locator | Drop]:
        """(split, picture's name, LaTeX)."""
        require_folder(self.folder, "im2latex's folder")
        formulas = _lines(self.folder / "im2latex_formulas.lst")
        for list_name, split in _LISTS.items():
            path = self.folder / f"im2latex_{list_name}.lst"
            if not path.is_file():
                continue
            for number, line in enumerate(_lines(path), 1):
                if not line.strip():
                    continue
                fields = line.split()
                if len(fields) < 2 or not fields[0].isdecimal() or int(fields[0]) >= len(formulas):
                    raise InputError(
                        f"'{path}' line {number} is not a formula's number and a picture's name."
                    )
                yield (split, fields[1], formulas[int(fields[0])])

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the files."""
        for split, name, latex in locators:
            path = self.folder / "formula_images" / f"{Path(name).name}.png"
            try:
                image = path.read_bytes()
            except OSError as error:
                yield Drop(name, "read", f"its picture cannot be read: {error.strerror}")
            else:
                yield RawItem(name, image, latex, "printed", self.name, split)


def _lines(path: Path) -> list[str]:
    """The list was collected from arXiv's sources: some of its lines are Latin-1, not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from error
    # Formulas may hold carriage returns: only a newline ends a line.
    return [_decode(line) for line in content.removesuffix(b"\n").split(b"\n")]


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
