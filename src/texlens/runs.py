"""The folder of a run: written atomically, not overwritten without --force, with its provenance.

A folder counts as finished when its marker file exists; a command writes that file last.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO, Any, TypeVar

from texlens import __version__, object_lock
from texlens.addresses import reason
from texlens.errors import InputError

T = TypeVar("T")

_LOG_EVERY_SECONDS = 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, or what a user may use of it


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`, which is renamed to `path` if the block succeeds.

    An object store has no such file: the content is gathered here, and then sent as a whole.
    """
    if not isinstance(path, Path):
        with tempfile.TemporaryFile() as gathered:
            yield gathered
            object_lock.check(path)
            with _naming(path):
                _send(gathered, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            _lock(handle)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if os.name == "posix":  # mkstemp makes files that only their owner can read
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            error.filename = str(path)  # not that of the temporary file, or none
        raise


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError of the block that names no file names this one."""
    try:
        yield
    except OSError as error:
        if error.filename:
            raise
        raise OSError(error.errno, reason(error), str(path)) from error


def _send(content: IO[bytes], address: Any) -> None:
    """Write an object. Raises OSError where the store has less than the whole of it at the end."""
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    with address.open("wb") as stream:
        shutil.copyfileobj(content, stream, 8 << 20)
    address.fs.invalidate_cache()  # that of hf:// may hold the folder as it was
    stored = address.stat().st_size
    if stored != size:
        address.unlink()
        raise OSError(f"{stored} of {size} bytes arrived")


def _lock(handle: int) -> bool:
    """Hold a file as long as this process lives; whether no other one does.

    Windows has no such locks, and does not let a file go that a process has open.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks
        return False
    return True


_held: dict[tuple[int, int], int] = {}  # the folders that this process writes to


def hold_folder(folder: Path) -> None:
    """Keep other processes from writing to a folder, as long as this one lives.

    Raises InputError where another one does. The system keeps the lock, on the folder itself; for an
    address see `object_lock`.
    """
    if not isinstance(folder, Path):
        object_lock.hold(folder)
        return
    if sys.platform == "win32":
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    status = os.fstat(handle)
    key = status.st_dev, status.st_ino
    if key in _held:
        os.close(handle)
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(
            f"Another run writes to '{folder}': wait for it, or give another --out."
        ) from error
    except OSError:  # a file system without locks
        os.close(handle)
        return
    _held[key] = handle


def _remove_abandoned(parts: Iterable[Path]) -> None:
    """Remove the temporary files of processes that were killed."""
    for part in parts:
        with contextlib.suppress(OSError):
            with part.open("rb") as stream:
                is_abandoned = _lock(stream.fileno())
            if is_abandoned:
                part.unlink()


def _umask() -> int:
    """The permissions that this process takes from new files."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        # Linux tells it; elsewhere it has to be set to be seen, for an instant in every thread.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("Umask:")[1].split()[0], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole text file atomically, as UTF-8. Lone surrogates are kept as `\\udXXX`."""
    write_bytes(path, content.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, document: Any) -> None:
    """Write one JSON document atomically, readable by people and stable between runs."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def write_json_lines(path: Path, records: Iterable[Any]) -> None:
    """Write JSON Lines atomically."""
    with atomic_write(path) as stream:
        for record in records:
            line = json.dumps(record, ensure_ascii=False) + "\n"
            stream.write(line.encode("utf-8", errors="backslashreplace"))


def open_out_folder(out: Path, *, marker: str, force: bool) -> Path:
    """Make the folder that a command writes to, unless it has a finished result.

    `marker` is the file that the command writes last. A folder without it is an unfinished run, which
    the caller may resume.

    Raises InputError when `out` is a file, cannot be made, or holds a finished result.
    """
    try:
        is_file = out.exists() and not out.is_dir()
        has_marker = (out / marker).exists()
    except OSError as error:
        raise InputError(f"Cannot use '{out}': {reason(error)}.") from error
    if is_file:
        raise InputError(f"'{out}' is a file, not a folder: give another --out.")
    if has_marker and not force:
        raise InputError(
            f"'{out}' holds a finished result ({marker}): give another --out, or --force."
        )
    make_folder(out)
    if isinstance(out, Path):
        _remove_abandoned(out.rglob(".*.part"))
    if force:
        (out / marker).unlink(missing_ok=True)
    return out


def make_folder(folder: Path) -> None:
    """Make a folder, unless it is there. Raises InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder '{folder}': {reason(error)}.") from error


def check_out_file(path: Path, *, force: bool) -> None:
    """Raise InputError when a file that a command writes exists, unless `force`, or is a folder."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise InputError(f"Cannot use '{path}': {reason(error)}.") from error
    if is_folder:
        raise InputError(f"'{path}' is a folder: give --out a file.")
    if exists and not force:
        raise InputError(f"'{path}' exists: give another --out, or --force.")
    if isinstance(path, Path):
        _remove_abandoned(path.parent.glob(f".{glob.escape(path.name)}.*.part"))


def begin_or_resume(record: Path, settings: dict[str, Any]) -> None:
    """Record the settings of a run, or make sure that a run to be resumed has the same settings.

    Raises InputError, naming the settings that differ.
    """
    settings = json.loads(json.dumps(settings))  # a tuple becomes a list, as in the file
    try:
        is_begun = record.exists()
    except OSError as error:
        raise InputError(f"Cannot use '{record.parent}': {reason(error)}.") from error
    if not is_begun:
        write_json(record, settings)
        return
    try:
        begun = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        begun = {}
    changed = [key for key in {**settings, **begun} if begun.get(key) != settings.get(key)]
    if changed:
        raise InputError(
            f"'{record.parent}' holds an unfinished run with another {' and '.join(changed)}: "
            "give another --out, or --force."
        )


def progress(
    items: Iterable[T], *, total: int | None, unit: str, quiet: bool = False
) -> Iterator[T]:
    """Yield the items, with a bar on a terminal and in a notebook, else one line a minute on stderr."""
    if quiet:
        yield from items
        return
    if sys.stderr.isatty() or in_notebook():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
            from tqdm.auto import tqdm

        yield from tqdm(items, total=total, unit=f" {unit}")
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        now = time.monotonic()
        if now - last > _LOG_EVERY_SECONDS:
            last = now
            rate = done / (now - start)
            line = f"{done} {unit}, {rate:.1f}/s"
            if total is not None:
                left = (total - done) / 60 / rate
                line = f"{done}/{total} {unit}, {rate:.1f}/s, about {left:.0f} min left"
            print(line, file=sys.stderr, flush=True)
        yield item


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    return "ipykernel" in sys.modules


def provenance(*packages: str) -> dict[str, str]:
    """The versions that a result depends on: TexLens, Python, platform, and the named packages."""
    versions = {
        "texlens": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions
