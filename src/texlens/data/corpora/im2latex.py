"""im2latex-100k in its authors' files: a list of formulas, lists that split it, and pictures.

Layout: `im2latex_formulas.lst` (one formula a line), `im2latex_train.lst`, `_validate.lst` and
`_test.lst` (line number of the formula, picture's name, kind of rendering), `formula_images/`.
The Parquet form is read by `tables`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from texlens.data.corpora.base import FileCorpus, Locator, split_of
from texlens.data.corpora.files import locate_files
from texlens.data.items import Drop
from texlens.errors import InputError

_FORMULAS = "im2latex_formulas.lst"


@dataclass(frozen=True)
class Im2latex(FileCorpus):
    """The three splits."""

    name = "im2latex"

    @classmethod
    def open(cls, path: Path) -> Im2latex:
        """The corpus in a folder or a zip file. Raises InputError when it is not there."""
        return cls(locate_files(path, [_FORMULAS]))

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture, LaTeX) of every line of the lists."""
        formulas = _lines(self.files.read(_FORMULAS))
        for part in ("train", "validate", "test"):
            path = f"im2latex_{part}.lst"
            if not self.files.has(path):
                continue
            for number, line in enumerate(_lines(self.files.read(path)), 1):
                if not line.strip():
                    continue
                fields = line.split()
                if len(fields) < 2 or not fields[0].isdecimal() or int(fields[0]) >= len(formulas):
                    raise InputError(
                        f"'{self.files}/{path}' line {number} is not a formula's number and a picture's name."
                    )
                file = f"formula_images/{Path(fields[1]).name}.png"
                place = (file, formulas[int(fields[0])])
                yield Locator(fields[1], place, split_of([part]), self.source)


def _lines(content: bytes) -> list[str]:
    """The lines of a list. It was collected from arXiv's sources: some lines are Latin-1."""
    # Formulas may hold carriage returns: only a newline ends a line.
    return [_decode(line) for line in content.removesuffix(b"\n").split(b"\n")]


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
