"""From the names that a user gives (files, folders, patterns, `-`) to single pictures.

A name without a picture becomes an item with an error, so that the rest of a batch is read.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from PIL import Image

from texlens.addresses import find_files, is_address, reason
from texlens.errors import InputError, require_extra
from texlens.reading.pictures.opening import SUFFIXES

STANDARD_INPUT = "-"
DATA_SET = ".parquet"
_FETCHES = 16  # pictures of an object store at a time


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to read with the name of its reading, or the reason why there is none.

    `alternatives`: how many other readings of it are wanted, up to 9.
    """

    name: str
    picture: Path | bytes | Image.Image | None
    error: str | None = None
    alternatives: int = 0


Picture = str | Path | bytes | Image.Image | Item
"""A path, the bytes of a file, an open picture, or one of these with a name."""


def as_item(picture: Picture, number: int) -> Item:
    """A picture with the name of its reading: its path, or else its number.

    Raises TypeError for what is no picture.
    """
    if isinstance(picture, Item):
        return picture
    if isinstance(picture, str | Path):
        return Item(str(picture), Path(picture))
    if not isinstance(picture, bytes | Image.Image):
        raise TypeError(
            f"picture {number} must be a path, the bytes of a file, or a PIL image, not "
            f"{type(picture).__name__} (several: Reader().read_many; an array: PIL.Image.fromarray)."
        )
    return Item(f"picture {number}", picture)


def find_pictures(names: Iterable[str]) -> Iterator[Item]:
    """The pictures behind the names, in the order of the names; those of a folder sorted by path.

    A name is a file, a folder (searched with its sub-folders for the suffixes of pictures, or if it
    has none for data sets), a pattern such as `scans/*.png`, a data set (`.parquet`, whose ids are
    the names), each also at an address such as `s3://bucket/scans`, or `-` for one picture on
    standard input. A file that exists is read as a file even if its name looks like a
    pattern.
    """
    for name in names:
        if name == STANDARD_INPUT:
            yield Item("standard input", sys.stdin.buffer.read())
        elif is_address(name):
            yield from _at_address(name)
        elif Path(name).is_dir():
            yield from _in_folder(Path(name))
        elif name.lower().endswith(DATA_SET) and Path(name).is_file():
            yield from _in_data_set(Path(name))
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _matching(name)
        else:
            yield Item(name, Path(name))


def _at_address(name: str) -> Iterator[Item]:
    """The pictures of an object store, several fetched at a time."""
    try:
        files = (
            find_files([name], SUFFIXES) if not name.endswith(DATA_SET) else find_files([name], ())
        )
    except InputError as error:
        try:
            files = find_files([name], (DATA_SET,))
        except InputError:
            yield Item(name, None, str(error))
            return
    with ThreadPoolExecutor(_FETCHES, "texlens-fetch") as pool:
        for is_data_set, group in groupby(files, lambda file: file.suffix.lower() == DATA_SET):
            if is_data_set:
                for file in group:
                    yield from _in_data_set(file)
            else:
                while some := list(islice(group, 4 * _FETCHES)):
                    yield from pool.map(_fetched, some)


def _fetched(file: Path) -> Item:
    try:
        return Item(str(file), file.read_bytes())
    except OSError as error:
        return Item(str(file), None, f"Cannot read '{file}': {reason(error)}.")


def _in_data_set(path: Path) -> Iterator[Item]:
    require_extra("Reading a data set", "data", "pyarrow")
    from texlens.data.parquet import read_examples

    try:
        for example in read_examples(path):
            yield Item(example.id, example.image)
    except InputError as error:
        yield Item(str(path), None, str(error))


def _matching(pattern: str) -> Iterator[Item]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (may be absolute)
    if not matches:
        yield Item(pattern, None, f"Nothing matches '{pattern}'.")
    for match in matches:
        if Path(match).is_dir():
            yield from _in_folder(Path(match))
        elif match.lower().endswith(DATA_SET):
            yield from _in_data_set(Path(match))
        else:
            yield Item(match, Path(match))


def _in_folder(folder: Path) -> Iterator[Item]:
    problems: list[OSError] = []
    found = [
        Path(parent) / name
        for parent, _, names in os.walk(folder, onerror=problems.append)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    ]
    for path in sorted(found):
        yield Item(str(path), path)
    for problem in problems:
        place = str(problem.filename or folder)
        yield Item(place, None, f"Cannot open the folder '{place}': {problem.strerror}.")
    if not found and not problems and (sets := sorted(folder.rglob(f"*{DATA_SET}"))):
        for path in sets:
            yield from _in_data_set(path)
    elif not found and not problems:
        kinds = ", ".join(sorted(SUFFIXES))
        yield Item(str(folder), None, f"The folder '{folder}' contains no picture ({kinds}).")
