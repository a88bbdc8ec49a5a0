"""A cache of drawings: within a run in memory, between runs in an SQLite file.

The file is `drawings.sqlite` in the user's cache folder (`TEXLENS_CACHE` names another). A row is
keyed by the engine's signature and the formula, so that a new engine never gets an old drawing.
Several processes may use it at once; they read while one writes, by SQLite's write-ahead log, except
on network file systems, which lack the shared memory that it needs. It holds at most `MAX_BYTES`; beyond that the least recently
used drawings are deleted. A damaged file is deleted with a warning, and where no file can be
written everything works without: the cache only saves time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import sys
import time
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from texlens.engine import Drawing, Failure

_FILE = "drawings.sqlite"
MAX_BYTES = 512 * 2**20
_KEPT_AFTER_EVICTION = 0.8
_IN_MEMORY = 4096
_BUSY_SECONDS = 10.0
_DAY = 86_400
# `synchronous=OFF`: a lost cache costs nothing but time.
_SCHEMA = """
    PRAGMA synchronous=OFF;
    CREATE TABLE IF NOT EXISTS drawings
        (key BLOB PRIMARY KEY, content BLOB NOT NULL, day INTEGER NOT NULL);
"""


def cache_folder() -> Path:
    """The folder of this user's caches: `TEXLENS_CACHE`, or the platform's usual place."""
    if named := os.environ.get("TEXLENS_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "texlens"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/texlens"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "texlens"


def cache_works() -> bool:
    """Whether drawings can be kept on disk. Warns where not."""
    return DiskCache(cache_folder() / _FILE).works


class DrawingStore:
    """Draws formulas with the engine of this process, started when needed, and caches them.

    With `on_disk` the drawings are kept for later processes.
    """

    def __init__(self, *, on_disk: bool = True) -> None:
        self._on_disk = on_disk
        self._memory: dict[str, Drawing | Failure] = {}

    @cached_property
    def _disk(self) -> DiskCache | None:
        return DiskCache(cache_folder() / _FILE) if self._on_disk else None

    @cached_property
    def signature(self) -> str:
        """The engine's signature."""
        from texlens.engine import get_engine

        return get_engine().signature

    def draw(self, formulas: Sequence[str]) -> list[Drawing | Failure]:
        """The glyph boxes of each formula in display style, or why it cannot be drawn.

        Raises EngineFault where it is not known whether one can be drawn.
        """
        from texlens.engine import without_fault

        wanted = dict.fromkeys(formulas)
        found = {f: self._memory[f] for f in wanted if f in self._memory}
        missing = [f for f in wanted if f not in found]
        if missing:
            fresh = self._draw_missing(missing)
            if len(self._memory) + len(fresh) > _IN_MEMORY:
                self._memory.clear()
            self._memory.update(fresh)
            found.update(fresh)
        return without_fault([found[formula] for formula in formulas])

    def _draw_missing(self, formulas: Sequence[str]) -> dict[str, Drawing | Failure]:
        from texlens.engine import Drawing, get_engine

        keys = {f: self._key(f) for f in formulas}
        known = self._disk.get(keys.values()) if self._disk else {}
        decoded = {f: _decode(known[key]) for f, key in keys.items() if key in known}
        drawn = {f: result for f, result in decoded.items() if result is not None}
        missing = [f for f in formulas if f not in drawn]
        fresh = dict(zip(missing, get_engine().draw(missing), strict=True)) if missing else {}
        if self._disk and fresh:
            self._disk.put(
                {
                    keys[f]: _encode(result)
                    for f, result in fresh.items()
                    if isinstance(result, Drawing) or result.kind != "fault"
                }
            )
        return drawn | fresh

    @cached_property
    def _maker(self) -> hashlib.blake2b:
        """Everything besides the formula that a drawing depends on: the engine and its reader."""
        reader = resources.files("texlens.engine").joinpath("boxes.py").read_bytes()
        return hashlib.blake2b(self.signature.encode() + reader, digest_size=16)

    def _key(self, formula: str) -> bytes:
        key = self._maker.copy()
        key.update(formula.encode("utf-8", errors="surrogatepass"))
        return key.digest()


class DiskCache:
    """A bounded table of byte strings, shared by processes.

    Where the file cannot be made or used, a warning says so and a table in memory replaces it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.works = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(path)
        except (sqlite3.DatabaseError, OSError) as error:
            self._recover(error)

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The contents of those keys that are there."""
        found: dict[bytes, bytes] = {}
        today = int(time.time()) // _DAY
        try:
            stale = []
            for key in keys:
                query = "SELECT content, day FROM drawings WHERE key = ?"
                row = self._connection.execute(query, (key,)).fetchone()
                if row is not None:
                    found[key], day = row
                    if day != today:
                        stale.append((today, key))
            if stale:
                with self._connection:
                    self._connection.executemany("UPDATE drawings SET day=? WHERE key=?", stale)
        except sqlite3.DatabaseError as error:
            self._recover(error)
        return found

    def put(self, contents: Mapping[bytes, bytes]) -> None:
        """Add entries in one transaction, then drop the oldest if the file has grown too large."""
        today = int(time.time()) // _DAY
        rows = [(key, content, today) for key, content in contents.items()]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO drawings VALUES (?,?,?)", rows)
            if self._bytes() > MAX_BYTES:
                self._evict()
        except sqlite3.DatabaseError as error:
            self._recover(error)

    def _bytes(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _evict(self) -> None:
        (count,) = self._connection.execute("SELECT count(*) FROM drawings").fetchone()
        surplus = int(count * (1 - _KEPT_AFTER_EVICTION)) + 1
        with self._connection:
            self._connection.execute(
                "DELETE FROM drawings WHERE rowid IN "
                "(SELECT rowid FROM drawings ORDER BY day, rowid LIMIT ?)",
                (surplus,),
            )

    def _recover(self, error: Exception) -> None:
        """Go on without the file, which is deleted where it is damaged: the next process makes one."""
        problem, self.works = "cannot be used", False
        self._connection = _connect(":memory:")
        if type(error) is sqlite3.DatabaseError:  # the subclasses stand for locked or full
            problem = "is damaged and was deleted"
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        warnings.warn(
            f"The cache '{self.path}' {problem} ({error}): the numbers are the same, only slower "
            "to get.",
            stacklevel=2,
        )


def _connect(path: Path | str) -> sqlite3.Connection:
    try:
        return _opened(path, "PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError:
        # Its first access decides how a file is locked, and without sharing it needs no shared memory.
        return _opened(
            path,
            "PRAGMA locking_mode=EXCLUSIVE",
            "PRAGMA journal_mode=DELETE",
            "PRAGMA locking_mode=NORMAL",
        )


def _opened(path: Path | str, *settings: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        for setting in settings:
            connection.execute(setting).fetchall()
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _encode(drawn: Drawing | Failure) -> bytes:
    """A drawing as compressed JSON, its boxes column by column; floats keep every bit."""
    from texlens.engine import Box, Drawing

    if isinstance(drawn, Drawing):
        row = attrgetter(*(field.name for field in fields(Box)))
        columns = list(zip(*map(row, drawn.boxes), strict=True))
        document = [drawn.width, drawn.height, drawn.depth, columns]
    else:
        document = [drawn.message, drawn.position, drawn.kind]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), level=1)


def _decode(content: bytes) -> Drawing | Failure | None:
    """The drawing that `_encode` encoded; None where the content is damaged."""
    from texlens.engine import Box, Drawing, Failure

    try:
        document = json.loads(zlib.decompress(content))
    except (zlib.error, ValueError):
        return None
    if len(document) == 3:
        return Failure(*document)
    width, height, depth, columns = document
    boxes = tuple(map(Box, *columns)) if columns else ()
    return Drawing(boxes, width, height, depth)
