"""Addresses of files: paths of this machine, and those of object stores (`s3://`, `hf://`, `gs://`).

An address of fsspec becomes a `UPath`, which has the methods of `pathlib.Path`; code that only joins,
lists, reads and writes whole files takes both. For S3 PyArrow's own file system is used: it comes with
the extra `data`, while s3fs wants one version of botocore and one of fsspec.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

from texlens.errors import InputError, require_extra

_SECONDS = 20  # that an object store may take to accept a connection, or to answer


def is_address(name: str | Path) -> bool:
    """Whether a file is in an object store."""
    return "://" in str(name)


def place(name: str | Path) -> Path:
    """The file or folder of a name: a path, or what has the methods of one.

    Raises InputError for an address of a kind that cannot be opened.
    """
    if not isinstance(name, str):
        return name
    if not is_address(name):
        return Path(name)
    require_extra("An address such as s3://...", "cluster", "upath", "fsspec", "pyarrow")
    from upath import UPath

    protocol = name.split("://")[0]
    if protocol == "s3":
        _register_s3()
    elif protocol == "hf":
        import texlens.hub_path  # noqa: F401  (its class is upath's for these addresses)
    try:
        found = UPath(name)
        found.fs  # noqa: B018  (raises where its package is missing)
    except (ImportError, ValueError) as error:
        raise InputError(f"'{name}' cannot be opened: {error}.") from error
    return cast("Path", found)


@cache
def _register_s3() -> None:
    import fsspec
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class S3(ArrowFSWrapper):  # type: ignore[misc]  # fsspec is not typed
        """PyArrow's S3, with the usual variables: AWS_ENDPOINT_URL, AWS_REGION, credentials."""

        protocol = ("s3",)

        def __init__(self, **more: Any) -> None:
            region, endpoint = s3_settings()
            super().__init__(
                S3FileSystem(
                    region=region,
                    endpoint_override=endpoint,
                    connect_timeout=_SECONDS,
                    request_timeout=_SECONDS,
                ),
                **more,
            )

        @classmethod
        def _parent(cls, path: str) -> str:
            return str(cls._strip_protocol(path)).rpartition("/")[0]

    fsspec.register_implementation("s3", S3, clobber=True)


def s3_settings() -> tuple[str | None, str | None]:
    """Region and endpoint of S3, from the variables that AWS's own tools read."""
    variables = os.environ
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION")
    return region, variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL")


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, for a sentence; PyArrow's own errors have many lines."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    for code, words in (
        ("ACCESS_DENIED", "permission denied"),
        ("NO_SUCH_BUCKET", "there is no such bucket"),
        ("NO_SUCH_KEY", "it does not exist"),
        ("RESOURCE_NOT_FOUND", "it does not exist"),
        ("NETWORK_CONNECTION", "the object store does not answer"),
    ):
        if code in text:
            return words
    return text.rstrip(".")[:300]


def find_files(names: Iterable[str], suffixes: Iterable[str]) -> list[Path]:
    """The files behind names, in their order: a file, a folder (searched with its sub-folders), or a pattern.

    Raises InputError for a name without a file.
    """
    files: list[Path] = []
    for name in names:
        found = _files(name, tuple(suffixes))
        if not found:
            raise InputError(f"There is no file at '{name}' ({', '.join(suffixes)}).")
        files += found
    return files


def _files(name: str, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        if glob.has_magic(name) and not (not is_address(name) and os.path.lexists(name)):
            return _matching(name)
        path = place(name)
        if not path.is_dir():
            return [path]
        # Hidden folders hold the work of a run that has not ended.
        found = [file for file in path.rglob("*") if file.suffix.lower() in suffixes]
        return sorted((file for file in found if "/." not in str(file)[len(str(path)) :]), key=str)
    except OSError as error:
        raise InputError(f"Cannot read '{name}': {reason(error)}.") from error


def _matching(pattern: str) -> list[Path]:
    if not is_address(pattern):
        return [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    root = pattern[: pattern.index("://") + 3]
    fixed, parts = [], pattern[len(root) :].split("/")
    while parts and not glob.has_magic(parts[0]):
        fixed.append(parts.pop(0))
    return sorted(place(root + "/".join(fixed)).glob("/".join(parts)), key=str)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that it holds, if there is one."""
    if isinstance(folder, Path):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    elif folder.is_dir():
        folder.fs.rm(folder.path, recursive=True)  # an address
