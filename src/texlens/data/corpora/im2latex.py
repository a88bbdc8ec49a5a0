"""im2latex-100k in its authors' files: a list of formulas, lists that split it, and pictures.

Layout: `im2latex_formulas.lst` (one formula a line), `im2latex_train.lst`, `_validate.lst` and
`_test.lst` (line number of the formula, picture's name, kind of rendering), `formula_images/`.
The Parquet form is read by `tables`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from texlens.data.corpora.base import FileCorpus, Locator, require_folder, split_of
from texlens.data.items import Drop
from texlens.errors import InputError


@dataclass(frozen=True)
class Im2latex(FileCorpus):
    """The three splits under `folder`."""

    name = "im2latex"

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture's name, file, LaTeX, split)."""
        require_folder(self.folder, "im2latex's folder")
        formulas = _lines(self.folder / "im2latex_formulas.lst")
        for part in ("train", "validate", "test"):
            path = self.folder / f"im2latex_{part}.lst"
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
                file = f"formula_images/{Path(fields[1]).name}.png"
                yield fields[1], file, formulas[int(fields[0])], split_of([part])


def _lines(path: Path) -> list[str]:
    """The lines of a list. It was collected from arXiv's sources: some lines are Latin-1."""
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
