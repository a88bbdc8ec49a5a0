"""UniMER: one list of formulas and numbered pictures.

Layouts: UniMER-1M (`train.txt` and `images/`), UniMER-Test (`spe.txt` and `spe/`, and so on for
cpe, sce, hwe). Line i (from 0) is the picture whose name is i padded to 7 digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from texlens.data.corpora.base import FileCorpus, Locator, match_captions, require_folder
from texlens.data.items import Drop, Sizes, Split
from texlens.errors import InputError
from texlens.inputs import read_lines
from texlens.records import Kind

# Subset -> kind of picture: simple and complex printed, screen captures, handwriting.
SUBSETS: dict[str, Kind] = {
    "train": "printed",
    "spe": "printed",
    "cpe": "printed",
    "sce": "screen",
    "hwe": "handwritten",
}


@dataclass(frozen=True)
class Unimer(FileCorpus):
    """One subset under `folder`."""

    subset: str = "train"
    sizes: Sizes | None = None

    name = "unimer"

    @property
    def kind(self) -> Kind:
        """Kind of the subset's pictures."""
        return SUBSETS[self.subset]

    @property
    def source(self) -> str:
        """The `source` of the items."""
        return f"{self.name}-{self.subset}"

    def locators(self) -> Iterator[Locator | Drop]:
        """(id, file, LaTeX, split)."""
        require_folder(self.folder, "UniMER's folder")
        captions = self.folder / f"{self.subset}.txt"
        if not captions.is_file():
            raise InputError(f"There is no '{captions.name}' in '{self.folder}'.")
        pictures = "images" if self.subset == "train" else self.subset
        split: Split = "train" if self.subset == "train" else "test"
        present = {path.name for path in (self.folder / pictures).glob("*.png")}
        numbered = [
            (f"{number:07d}.png", latex) for number, latex in enumerate(read_lines(captions))
        ]
        prefix = f"{self.subset}/"

        def locate(file: str, latex: str) -> Locator:
            return prefix + file.removesuffix(".png"), f"{pictures}/{file}", latex, split

        return match_captions(numbered, present, {n: n for n in present}.get, locate, prefix)
