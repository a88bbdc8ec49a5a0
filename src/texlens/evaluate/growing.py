"""A file of lines that grows with a run, and that a run which was cut short continues.

A local file is appended to. Nothing can be appended to an object: the lines are gathered in parts, each
written as a whole, which become one object at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from texlens.runs import write_bytes

LINES_A_PART = 500


class GrowingFile:
    """The lines written so far, and those to come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_local = isinstance(path, Path)

    def content(self) -> bytes:
        """The lines written so far; an incomplete last one is removed from the file."""
        if not self._is_local:
            return b"".join(part.read_bytes() for part in self._parts())
        if not self.path.exists():
            return b""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) != len(content):
            os.truncate(self.path, len(whole))
        return whole

    @contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """A function that appends a line. Where the block ends early, what was written stays."""
        if self._is_local:
            with self.path.open("ab") as stream:

                def append(line: bytes) -> None:
                    stream.write(line)
                    stream.flush()

                yield append
            return
        waiting: list[bytes] = []

        def gather(line: bytes) -> None:
            waiting.append(line)
            if len(waiting) == LINES_A_PART:
                self._write_part(waiting)

        try:
            yield gather
        finally:
            self._write_part(waiting)

    def finish(self) -> None:
        """Make one file of the parts."""
        if not self._is_local and (parts := self._parts()):
            write_bytes(self.path, self.content())
            for part in parts:
                part.unlink()

    def remove(self) -> None:
        """Remove what there is of the file."""
        for file in (self.path, *([] if self._is_local else self._parts())):
            file.unlink(missing_ok=True)

    def _write_part(self, lines: list[bytes]) -> None:
        if lines:
            number = len(self._parts())
            write_bytes(self._part(number), b"".join(lines))
            lines.clear()

    def _part(self, number: int) -> Path:
        return self.path.with_name(f".{self.path.name}.{number:06d}")

    def _parts(self) -> list[Path]:
        return sorted(self.path.parent.glob(f".{self.path.name}.*"), key=str)
