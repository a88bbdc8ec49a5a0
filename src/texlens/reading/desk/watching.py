"""New pictures in a folder, such as screenshots and scans, as soon as they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from texlens.errors import InputError, require_extra
from texlens.reading.pictures.opening import SUFFIXES, open_picture
from texlens.reading.sources import Item

_POLL_MS = 200
QUIET_S = 0.4  # a file without a change for this time may be complete
_GIVE_UP_S = 10.0  # a file without a change for this time that cannot be opened is no picture


@dataclass(slots=True)
class _Growing:
    """A file that is being written: its last known state, and since when it has had it."""

    state: tuple[int, int]
    since: float


def new_pictures(folder: Path, *, stop: Event | None = None) -> Iterator[Item]:
    """Pictures that are written into a folder or its sub-folders from now on, each when complete.

    A file is complete when it has not changed for `QUIET_S` and can be opened. One that cannot be
    opened ten seconds after its last change is an item with an error. Hidden files are ignored,
    since programs write under such names before they rename. Ends when `stop` is set.

    Raises InputError when there is no such folder, or watchfiles is not installed.
    """
    require_extra("Watching a folder", "desk", "watchfiles")
    if not folder.is_dir():
        raise InputError(f"'{folder}' is not a folder that can be watched.")
    return _new_pictures(folder, stop or Event())


def _new_pictures(folder: Path, stop: Event) -> Iterator[Item]:
    from watchfiles import Change, watch

    growing: dict[Path, _Growing] = {}
    given: dict[Path, tuple[int, int]] = {}  # what was read already, and its state then
    changes = watch(
        folder,
        watch_filter=None,
        debounce=_POLL_MS,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=True,
        ignore_permission_denied=True,
    )
    for found in changes:
        now = time.monotonic()
        for change, name in found:
            path = Path(name)
            if change is not Change.deleted and _is_wanted(path, folder):
                growing.setdefault(path, _Growing((-1, -1), now))
        for path, seen in list(growing.items()):
            state = _state(path)
            if state is None or state == given.get(path):  # gone, or only touched
                del growing[path]
            elif state != seen.state:
                seen.state, seen.since = state, now
            elif now - seen.since >= QUIET_S:
                item = _complete(path, give_up=now - seen.since >= _GIVE_UP_S)
                if item is not None:
                    del growing[path]
                    given[path] = state
                    yield item


def _is_wanted(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    hidden = any(part.startswith(".") for part in inside.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _state(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change; None for a file that is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _complete(path: Path, *, give_up: bool) -> Item | None:
    """The picture in a file, or why there is none; None if that may still change."""
    try:
        return Item(str(path), open_picture(path))
    except InputError as error:
        return Item(str(path), None, str(error)) if give_up else None
