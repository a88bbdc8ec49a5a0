"""MathWriting: 253,000 handwritten formulas as InkML, rendered as pictures.

Layout: `train/`, `valid/` and `test/`, beside them `synthetic/` (inks put together from symbols) and
`symbols/` (single symbols), each with files `[0-9a-f]{16}.inkml`. The formula is the annotation
`normalizedLabel`; symbols have only a `label`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from texlens.data.corpora.base import Locator, split_of
from texlens.data.corpora.crohme import InkCorpus
from texlens.data.items import Drop
from texlens.errors import InputError

SUBSETS = ("human", "synthetic", "symbols")
_HUMAN = ("train", "valid", "test")


@dataclass(frozen=True)
class MathWriting(InkCorpus):
    """The inks that people wrote, or one of the other two subsets."""

    subset: str = "human"

    name = "mathwriting"
    references: ClassVar[tuple[str, ...]] = ("normalizedLabel", "label")

    @classmethod
    def open(cls, path: Path, subset: str | None, vary: bool, seed: int) -> MathWriting:
        """The unpacked corpus: a folder, or its folder `mathwriting-2024*`.

        Raises InputError when it is not there.
        """
        if path.is_file():
            raise InputError(f"'{path}' is a file: unpack it, and give the folder.")
        subset = subset or "human"
        wanted = "train" if subset == "human" else subset
        for folder in (path, *sorted(path.glob("mathwriting-2024*"))):
            if any((folder / wanted).glob("*.inkml")):
                return cls(folder, vary, seed, subset)
        raise InputError(f"There is no .inkml file in '{path / wanted}'.")

    def locators(self) -> Iterator[Locator | Drop]:
        """(file, None), in the order of the files."""
        for part in _HUMAN if self.subset == "human" else (self.subset,):
            # What is not written by people as a whole is for training, as its authors say.
            split = split_of([part]) or "train"
            for path in sorted((self.folder / part).glob("*.inkml")):
                place = (f"{part}/{path.name}", None)
                yield Locator(f"{part}/{path.stem}", place, split, self.name)
