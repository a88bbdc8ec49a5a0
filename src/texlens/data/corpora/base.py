"""What every corpus offers to the preparation, and the parts that several corpora share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from texlens.data.corpora.files import Files
from texlens.data.items import Drop, RawItem, Sizes, Split
from texlens.errors import InputError
from texlens.records import Kind


@dataclass(frozen=True, slots=True)
class Locator:
    """How a corpus finds an item again: small, and known before the item is loaded.

    `place` is the corpus's own; `split` is its authors' split; `source` is the corpus, or the part
    of a mixture, that the item comes from.
    """

    id: str
    place: tuple[Any, ...]
    split: Split | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fetched corpus comes from: a data set on the hub, at one commit."""

    repository: str
    commit: str

    def as_json(self) -> dict[str, str]:
        """As `dataset.json` records it."""
        return asdict(self)


class Corpus(Protocol):
    """A corpus in the layout of its authors.

    `locators` is cheap and ordered, and runs in the main process; `load` does the work, in
    worker processes, and gives one RawItem or Drop for every locator, in order.
    """

    @property
    def name(self) -> str:
        """The corpus's name, which is also the `source` of its items."""
        ...

    @property
    def sizes(self) -> Sizes | None:
        """Default sizes of the splits; None keeps every item."""
        return None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The data sets on the hub that it was fetched from."""
        return ()

    def locators(self) -> Iterator[Locator | Drop]:
        """The locator of every item, or why a named item has none."""
        ...

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """The items of these locators."""
        ...


@dataclass(frozen=True)
class FileCorpus(Corpus):
    """A corpus of picture files; the place of a locator is (file, LaTeX)."""

    files: Files

    @property
    def kind(self) -> Kind:
        """Kind of the pictures."""
        return "printed"

    @property
    def source(self) -> str:
        """The `source` of the items: the corpus, or the part of it."""
        return self.name

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Read the picture files."""
        for locator in locators:
            file, latex = locator.place
            try:
                image = self.read(file)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                yield Drop(locator.id, "read", f"its picture cannot be read: {reason}")
            else:
                yield RawItem(locator.id, image, latex, self.kind, self.source, locator.split)

    def read(self, file: str) -> bytes:
        """The encoded picture of a locator's file."""
        return self.files.read(file)


def match_captions(
    captions: Sequence[tuple[str, str]],
    files: Iterable[str],
    find: Callable[[str], str | None],
    locate: Callable[[str, str], Locator | Drop],
    prefix: str = "",
) -> Iterator[Locator | Drop]:
    """A locator for every caption with one picture, a Drop for every other caption and file.

    Args:
        captions: (name of the picture, LaTeX), in the order of the items.
        files: the picture files.
        find: the file of a caption's name, None where there is none. Raises ValueError, with the
            reason as its message, for a name that must not be used.
        locate: the locator of a file with its LaTeX.
        prefix: of the ids of dropped captions and files.
    """
    times = Counter(name for name, _ in captions)
    left: set[str | None] = set(files)
    for name, latex in captions:
        try:
            file = find(name)
        except ValueError as error:
            yield Drop(prefix + name, "read", str(error))
            continue
        left -= {file}
        if times[name] > 1:
            yield Drop(prefix + name, "read", "has several captions")
        elif file is None:
            yield Drop(prefix + name, "read", "is a caption without a picture")
        else:
            yield locate(file, latex)
    for file in sorted(filter(None, left)):
        yield Drop(prefix + file, "read", "has no caption")


_PREFIXES: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
_WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+")


def split_of(names: Iterable[str]) -> Split | None:
    """The split in the first name of a file or folder that has one: `TrainINKML`, `val-00000`."""
    for name in names:
        for word in _WORDS.findall(name):
            for prefix, split in _PREFIXES.items():
                if word.lower().startswith(prefix):
                    return split
    return None


def require_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder. Raises InputError otherwise."""
    if not path.is_dir():
        raise InputError(f"There is no folder '{path}': give {what}.")
    return path
