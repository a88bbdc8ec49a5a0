"""The lines of a text file of captions or formulas."""

from __future__ import annotations

from pathlib import Path

from texlens.errors import InputError


def read_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8, whatever its line endings.

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
