"""What every source offers to the pipeline, and the reading that several of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from texlens.data.items import Drop, RawItem
from texlens.errors import InputError

# Where an item lies: small, picklable, in a fixed order. Its meaning is the source's own.
Locator = tuple[Any, ...]


class Source(Protocol):
    """A corpus as its authors publish it.

    `locators` is cheap and ordered, and runs in the main process; `load` does the work, in
    worker processes, and gives one RawItem or Drop for every locator, in order.
    `sizes` are the default sizes of (train, validation, test); None keeps every item.
    """

    @property
    def name(self) -> str:
        """What the items' `source` says."""
        ...

    @property
    def sizes(self) -> tuple[int, int, int] | None:
        """Default sizes of the splits."""
        ...

    def locators(self) -> Iterator[Locator | Drop]:
        """Every item's place, or why a named item has none."""
        ...

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """The items at these places."""
        ...


def require_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder that can be read. Raises InputError otherwise."""
    if not path.exists():
        raise InputError(f"There is no '{path}': --from needs {what}.")
    if not path.is_dir():
        raise InputError(f"'{path}' is not a folder: --from needs {what}.")
    return path


def inside(folder: Path, name: str) -> Path | None:
    """The file `name` under `folder`, or None when the name leads outside of it."""
    path = folder / name
    resolved = path.resolve()
    return path if resolved.is_relative_to(folder.resolve()) else None


def read_caption_lines(path: Path) -> list[str]:
    """The lines of a caption file in UTF-8, whatever its line endings.

    Raises InputError for a file that cannot be read or is in another encoding.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"'{path}' line {line} is not UTF-8: convert the file first.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
