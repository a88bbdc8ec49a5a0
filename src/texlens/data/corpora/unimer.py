"""UniMER: one list of formulas and numbered pictures.

Layouts: UniMER-1M (`train.txt` and `images/`), UniMER-Test (`spe.txt` and `spe/`, and so on for
cpe, sce, hwe), unpacked or as the zip files of the hub (`UniMER-Test.zip`). Line i (from 0) is the
picture whose name is i padded to 7 digits; some lines of UniMER-1M have no picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from texlens.data.corpora.base import FileCorpus, Locator, Origin, match_captions
from texlens.data.corpora.files import locate_files
from texlens.data.items import Drop, Sizes, Split
from texlens.inputs import text_lines
from texlens.records import Kind

# Subset -> kind of picture: simple and complex printed, screen captures, handwriting.
SUBSETS: dict[str, Kind] = {
    "train": "printed",
    "spe": "printed",
    "cpe": "printed",
    "sce": "screen",
    "hwe": "handwritten",
}


def zip_file(subset: str) -> str:
    """The zip file on the hub that has a subset, as a pattern: its name has changed once."""
    return "UniMER-1M.zip" if subset == "train" else "UniMER-[Tt]est.zip"


@dataclass(frozen=True)
class Unimer(FileCorpus):
    """One subset."""

    subset: str = "train"
    sizes: Sizes | None = None
    origins: tuple[Origin, ...] = ()

    name = "unimer"

    @classmethod
    def open(
        cls, path: Path, subset: str, sizes: Sizes | None = None, origins: tuple[Origin, ...] = ()
    ) -> Unimer:
        """The subset in a folder or a zip file. Raises InputError when it is not there."""
        files = locate_files(path, [f"{subset}.txt"], zip_file(subset))
        return cls(files, subset, sizes, origins)

    @property
    def kind(self) -> Kind:
        """Kind of the subset's pictures."""
        return SUBSETS[self.subset]

    @property
    def source(self) -> str:
        """The `source` of the items."""
        return f"{self.name}-{self.subset}"

    def locators(self) -> Iterator[Locator | Drop]:
        """(picture, LaTeX) of every line that has both."""
        captions = f"{self.subset}.txt"
        pictures = "images" if self.subset == "train" else self.subset
        split: Split = "train" if self.subset == "train" else "test"
        present = {
            name.rpartition("/")[2] for name in self.files.names(pictures) if name.endswith(".png")
        }
        lines = text_lines(self.files.read(captions), f"{self.files}/{captions}")
        numbered = [(f"{number:07d}.png", latex) for number, latex in enumerate(lines)]
        prefix = f"{self.subset}/"

        def locate(file: str, latex: str) -> Locator:
            place = (f"{pictures}/{file}", latex)
            return Locator(prefix + file.removesuffix(".png"), place, split, self.source)

        return match_captions(numbered, present, {n: n for n in present}.get, locate, prefix)
