"""Multipart forms, parsed as they come, in memory, with a bounded number of parts."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from texlens.serve.body import Held, chunks_of
from texlens.serve.limits import Limits
from texlens.serve.problems import Problem

_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form: its field, its name without any folder, and its content."""

    field: str
    name: str
    content: bytes


async def read_form(request: Request, limits: Limits, held: Held) -> list[Upload]:
    """The parts of a multipart form. Raises Problem for a bad one, or one beyond the limits."""
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(400, "The form's Content-Type names no boundary.")
    form = _Form(limits.pictures)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin_part,
                "on_header_field": form.add_header_name,
                "on_header_value": form.add_header_value,
                "on_header_end": form.end_header,
                "on_part_data": form.add_content,
                "on_part_end": form.end_part,
                "on_end": form.end,
            },
        )
        async with aclosing(chunks_of(request, limits, held)) as chunks:
            async for chunk in chunks:
                parser.write(chunk)
    except FormParserError as error:
        raise Problem(400, "The body is not a multipart form.") from error
    if not form.is_complete:
        raise Problem(400, "The form is cut short: its closing boundary is missing.")
    return form.uploads


@dataclass(slots=True)
class _Form:
    """What the parser has found so far."""

    most: int
    uploads: list[Upload] = field(default_factory=list)
    is_complete: bool = False
    _parts: int = 0
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _content: bytearray = field(default_factory=bytearray)

    def begin_part(self) -> None:
        self._parts += 1
        if self._parts > self.most:
            raise too_many_pictures(self.most)
        self._headers, self._content = {}, bytearray()

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def add_content(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def end_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        field_name = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename", b"").decode("utf-8", "replace")
        self.uploads.append(Upload(field_name, plain_name(name), bytes(self._content)))

    def end(self) -> None:
        self.is_complete = True


def too_many_pictures(most: int) -> Problem:
    """The problem of a request with more pictures than allowed."""
    return Problem(413, f"A request may hold at most {most} pictures: send several requests.")


def plain_name(name: str) -> str:
    """A file's name as a client gave it, without folders or control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:_LONGEST_NAME]
