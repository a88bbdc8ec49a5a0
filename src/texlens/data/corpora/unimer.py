"""UniMER: one list of formulas and numbered pictures.

Layouts: UniMER-1M (`train.txt` and `images/`), UniMER-Test (`spe.txt` and `spe/`, and so on for
cpe, sce, hwe). Line i (from 0) is the picture whose name is i padded to 7 digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from texlens.data.corpora.base import Locator, read_caption_lines, require_folder
from texlens.data.items import Drop, RawItem, Split
from texlens.errors import InputError
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
class Unimer:
    """One subset under `folder`."""

    folder: Path
    subset: str
    name: str = "unimer"
    sizes: tuple[int, int, int] | None = None

    def locators(self) -> Iterator[Locator | Drop]:
        """(name of the picture, LaTeX)."""
        require_folder(self.folder, "UniMER's folder")
        captions = self.folder / f"{self.subset}.txt"
        if not captions.is_file():
            raise InputError(f"There is no '{captions.name}' in '{self.folder}'.")
        pictures = self._pictures()
        present = {path.name for path in pictures.glob("*.png")}
        for number, latex in enumerate(read_caption_lines(captions)):
            name = f"{number:07d}.png"
            if name in present:
                present.discard(name)
                yield (name, latex)
            else:
                yield Drop(f"{self.subset}/{name}", "read", "is a caption without a picture")
        for name in sorted(present):
            yield Drop(f"{self.subset}/{name}", "read", "has no caption")

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the files."""
        split: Split = "train" if self.subset == "train" else "test"
        pictures = self._pictures()
        for name, latex in locators:
            label = f"{self.subset}/{name.removesuffix('.png')}"
            try:
                image = (pictures / name).read_bytes()
            except OSError as error:
                yield Drop(label, "read", f"cannot be read: {error.strerror}")
            else:
                source = f"{self.name}-{self.subset}"
                yield RawItem(label, image, latex, SUBSETS[self.subset], source, split)

    def _pictures(self) -> Path:
        return self.folder / ("images" if self.subset == "train" else self.subset)
