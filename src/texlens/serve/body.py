"""Taking in a request's body: no more bytes, parts or seconds than the limits allow.

Nothing goes to disk, and a body is refused at the first byte too many, or before, by its length.
What clients send at the same time shares one allowance, so memory is bounded whatever they do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.serve.limits import Limits
from texlens.serve.problems import Problem, busy, sentence_of

Model = TypeVar("Model", bound=BaseModel)

_LONGEST_NAME = 120
_DRAINED_BYTES = 64 * 2**20
DRAIN_SECONDS = 2.0


class Allowance:
    """The bytes that all requests together hold in memory."""

    def __init__(self, total: int) -> None:
        self.free = total

    @contextmanager
    def held(self) -> Iterator[Held]:
        """A request's share, which it gives back in the end."""
        held = Held(self)
        try:
            yield held
        finally:
            self.free += held.bytes


@dataclass(slots=True)
class Held:
    """The bytes that one request holds."""

    allowance: Allowance
    bytes: int = 0

    def take(self, count: int) -> None:
        """Take `count` more. Raises Problem (503) when others hold them."""
        if count > self.allowance.free:
            raise busy("Too much is being sent at the moment: try again in a moment.", 2)
        self.allowance.free -= count
        self.bytes += count


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form: its field, its name without any folder, and its content."""

    field: str
    name: str
    content: bytes


def media_type(request: Request) -> str:
    """The type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, model: type[Model], limits: Limits, held: Held) -> Model:
    """The body as a record. Raises Problem for one that is none, too long or too slow."""
    if media_type(request) != "application/json":
        raise Problem(415, "Send JSON, with the header 'Content-Type: application/json'.")
    body = bytearray()
    async for chunk in _chunks(request, limits, held):
        body += chunk
    try:
        return await asyncio.to_thread(model.model_validate_json, body)
    except ValidationError as error:
        is_json = error.errors()[0]["type"] != "json_invalid"
        raise Problem(422 if is_json else 400, sentence_of(error)) from error


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
        async for chunk in _chunks(request, limits, held):
            parser.write(chunk)
    except FormParserError as error:
        raise Problem(400, "The body is not a multipart form.") from error
    if not form.is_complete:
        raise Problem(400, "The form is cut short: its closing boundary is missing.")
    return form.uploads


class Drain:
    """ASGI middleware that lets a client finish before it is refused, within bounds.

    A connection that is closed while the client still sends is reset, and the answer can be lost
    on its way. What comes is thrown away. A client that waits for `100 Continue` sends nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; before its answer begins, take in the rest of its body."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        has_body = "content-length" in headers or "transfer-encoding" in headers
        is_coming = has_body and "expect" not in headers

        async def received() -> Message:
            nonlocal is_coming
            message = await receive()
            is_coming = message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and is_coming:
                bytes_left = _DRAINED_BYTES
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while is_coming and bytes_left > 0:
                            bytes_left -= len((await received()).get("body", b""))
            await send(message)

        await self.app(scope, received, sent)


async def _chunks(request: Request, limits: Limits, held: Held) -> AsyncIterator[bytes]:
    too_long = Problem(
        413, f"The body is larger than the {limits.body_bytes / 2**20:.3g} MiB allowed."
    )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "Compressed bodies are not taken: send the body as it is.")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limits.body_bytes:
        raise too_long
    received = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > limits.body_bytes:
                    raise too_long
                held.take(len(chunk))
                yield chunk
    except TimeoutError as error:
        raise Problem(
            408, f"The body did not arrive within {limits.upload_seconds:g} seconds."
        ) from error
    if received < int(length):
        raise Problem(400, "The body is cut short: it is shorter than its Content-Length.")


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
