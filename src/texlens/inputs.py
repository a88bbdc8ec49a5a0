"""Reading text, lines and JSON records from files; an error names the file and the line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from texlens.addresses import reason
from texlens.errors import InputError


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; `-` is standard input.

    Raises InputError for a file that cannot be read or is in another encoding.
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {reason(error)}.") from error
    return _decode(content, name_of(path))


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{where}, line {line}: the text is not UTF-8 (byte 0x{content[error.start]:02x}): "
            "save the file as UTF-8."
        ) from error


def name_of(path: Path) -> str:
    """The name of a file in messages."""
    return "standard input" if str(path) == "-" else str(path)


def read_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8, whatever its line endings. Raises InputError as `read_text`."""
    return _lines(read_text(path))


def text_lines(content: bytes, where: str) -> list[str]:
    """The lines of a text in UTF-8, whatever their endings. Raises InputError, naming `where`."""
    return _lines(_decode(content, where))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def json_records(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """The items of a JSON array, or one JSON value a line, each with its file and line or item.

    Raises InputError for text that is not JSON.
    """
    if text.lstrip()[:1] == "[":
        for number, record in enumerate(parse_json(text, name_of(path)), start=1):
            yield f"{name_of(path)}, item {number}", record
        return
    # Not splitlines(): a formula may contain U+2028, which JSON allows within a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name_of(path)}, line {number}"
            yield where, parse_json(line, where)


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text. Raises InputError, which begins with `where`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        raise InputError(f"{where}: this is not JSON ({error.msg}, {position}).") from error
    except (RecursionError, ValueError) as error:
        message = f"{where}: this JSON is nested too deeply or contains a huge number."
        raise InputError(message) from error
