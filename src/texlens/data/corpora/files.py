"""The files of a corpus: in a folder, or in a zip file, which is read without being unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from texlens.errors import InputError

_MAX_MEMBER_BYTES = 256 << 20  # of one file in an archive


class Files(Protocol):
    """Files by their names, which are paths relative to a root, with `/` between the parts."""

    def names(self, folder: str = "") -> list[str]:
        """The names of all files under a folder, sorted."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file. Raises OSError or ValueError when it cannot be read."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """The files under a folder."""

    folder: Path

    def names(self, folder: str = "") -> list[str]:
        """The names of all files under a folder, sorted; hidden files are not listed."""
        found = (self.folder / folder).rglob("*")
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in found
            if not path.name.startswith(".")
        )

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.folder / name).is_file()

    def read(self, name: str) -> bytes:
        """The content of a file. Raises InputError where the whole folder is missing."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            require_files(self.folder)
            raise

    def __str__(self) -> str:
        return str(self.folder)


def require_files(folder: Path) -> None:
    """Raise InputError for a folder that is missing or empty, as on a node where it is not mounted.

    It is called where a file of it cannot be read: then no item is the cause.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(f"The files of the corpus are not at '{folder}'.")


@dataclass(frozen=True)
class ZipFiles:
    """The files under `prefix` in a zip file."""

    path: Path
    prefix: str = ""

    def names(self, folder: str = "") -> list[str]:
        """The names of all files under a folder, sorted."""
        start = self.prefix + (folder and f"{folder}/")
        return sorted(
            name.removeprefix(self.prefix)
            for name in _open_zip(self.path).namelist()
            if name.startswith(start) and not name.endswith("/")
        )

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.prefix + name) in _open_zip(self.path).NameToInfo

    def read(self, name: str) -> bytes:
        """The content of a file."""
        archive = _open_zip(self.path)
        try:
            if archive.getinfo(self.prefix + name).file_size > _MAX_MEMBER_BYTES:
                raise ValueError(f"it is larger than {_MAX_MEMBER_BYTES >> 20} MiB")
            return archive.read(self.prefix + name)
        except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError) as error:
            raise ValueError(str(error)) from error

    def __str__(self) -> str:
        return f"{self.path}/{self.prefix}".rstrip("/")


@lru_cache(maxsize=2)
def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"'{path}' is not a whole zip file ({error}): delete it and fetch it again."
        ) from error


def locate_files(path: Path, markers: Sequence[str], zips: str = "*.zip") -> Files:
    """The root of a corpus: the first place that has one of `markers`.

    Args:
        path: a folder, or a zip file.
        markers: names of files of which a root has at least one.
        zips: which zip files in the folder are looked into, as a glob pattern.

    Returns:
        The folder itself, one of its sub-folders, or a folder in a zip file.

    Raises:
        InputError: there is none.
    """
    for root in _roots(path, markers, zips):
        if any(root.has(marker) for marker in markers):
            return root
    if not path.exists():
        raise InputError(f"There is no '{path}'.")
    names = " and no ".join(dict.fromkeys([markers[0], markers[-1]]))
    raise InputError(f"There is no {names} in '{path}', its sub-folders or its zip files.")


def _roots(path: Path, markers: Sequence[str], zips: str) -> Iterator[Files]:
    if path.is_dir():
        yield FolderFiles(path)
        yield from (FolderFiles(sub) for sub in sorted(path.iterdir()) if sub.is_dir())
        archives = sorted(path.glob(zips))
    else:
        archives = [path] if path.is_file() else []
    for archive in archives:
        for name in _open_zip(archive).namelist():
            marker = next((m for m in markers if name == m or name.endswith(f"/{m}")), None)
            if marker and not name.startswith("__MACOSX/"):
                yield ZipFiles(archive, name.removesuffix(marker))
                break
