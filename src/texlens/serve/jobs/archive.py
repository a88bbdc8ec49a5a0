"""The pictures of a job: a ZIP file, as the client sent it or made from a form."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from starlette.exceptions import HTTPException

from texlens.serve.api.pictures import Upload, plain_name

_END = struct.Struct("<4s4H2LH")  # the record at the end of an archive
_LONGEST_COMMENT = 65_535
_DIRECTORY_BYTES = 512  # for one picture in the archive's directory: its name, and more


def write_archive(path: Path, uploads: Iterable[Upload]) -> None:
    """Keep pictures in an archive, in their order."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, content) in enumerate(uploads, start=1):
            info = zipfile.ZipInfo(name or f"picture {number}")
            archive.writestr(info, content)


def count_pictures(path: Path, most: int) -> int:
    """The number of pictures in an archive.

    Raises:
        HTTPException: it is no archive (400), has too many pictures (413) or none (422).
    """
    if _directory_bytes(path) > most * _DIRECTORY_BYTES:  # before zipfile reads all of it
        raise _too_many(most)
    try:
        with zipfile.ZipFile(path) as archive:
            count = len(_pictures(archive))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _no_archive() from error
    if count > most:
        raise _too_many(most)
    if not count:
        raise HTTPException(422, "The archive contains no picture.")
    return count


def read_pictures(path: Path, start: int, most_bytes: int) -> Iterator[tuple[str, bytes | str]]:
    """Name and content of the pictures from number `start` on; a sentence where one cannot be read."""
    with zipfile.ZipFile(path) as archive:
        for number, info in enumerate(_pictures(archive)[start:], start=start + 1):
            name = plain_name(info.filename) or f"picture {number}"
            yield name, _content(archive, info, most_bytes)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most_bytes: int) -> bytes | str:
    if info.flag_bits & 1:
        return "The picture is encrypted in its archive."
    try:
        with archive.open(info) as file:
            content = file.read(most_bytes + 1)  # whatever size the archive claims
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError):
        return "The picture is damaged in its archive."
    if len(content) > most_bytes:
        return f"The picture has more than the {most_bytes / 2**20:.3g} MiB allowed."
    return content


def _pictures(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive, without those that macOS adds."""
    return [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not info.filename.startswith("__MACOSX/")
        and info.filename.rpartition("/")[2] != ".DS_Store"
    ]


def _directory_bytes(path: Path) -> int:
    """The size of an archive's directory, from the record at its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST_COMMENT - _END.size))
        tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or place + _END.size > len(tail):
        raise _no_archive()
    length: int = _END.unpack_from(tail, place)[5]
    return length


def _no_archive() -> HTTPException:
    return HTTPException(400, "The body is not a complete ZIP archive.")


def _too_many(most: int) -> HTTPException:
    return HTTPException(413, f"A job may have at most {most:,} pictures: send several jobs.")
