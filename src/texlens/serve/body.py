"""Taking in a request's body: no more bytes or seconds than the limits allow.

Nothing goes to disk, and a body is refused at the first byte too many, or before, by its length.
What clients send at the same time shares one budget, so memory is bounded whatever they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.serve.limits import Limits
from texlens.serve.problems import Problem, busy, sentence_of

Model = TypeVar("Model", bound=BaseModel)

_DRAINED_BYTES = 64 * 2**20
DRAIN_SECONDS = 2.0


class MemoryBudget:
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

    budget: MemoryBudget
    bytes: int = 0

    def take(self, count: int) -> None:
        """Take `count` more. Raises Problem (503) when others hold them."""
        if count > self.budget.free:
            raise busy("Too much is being sent at the moment: try again in a moment.", 2)
        self.budget.free -= count
        self.bytes += count


def media_type(request: Request) -> str:
    """The type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, model: type[Model], limits: Limits, held: Held) -> Model:
    """The body as a record. Raises Problem for one that is none, too long or too slow."""
    if media_type(request) != "application/json":
        raise Problem(415, "Send JSON, with the header 'Content-Type: application/json'.")
    body = bytearray()
    async with aclosing(chunks_of(request, limits, held)) as chunks:
        async for chunk in chunks:
            body += chunk
    try:
        return await asyncio.to_thread(model.model_validate_json, body)
    except ValidationError as error:
        is_json = error.errors()[0]["type"] != "json_invalid"
        raise Problem(422 if is_json else 400, sentence_of(error)) from error


async def chunks_of(request: Request, limits: Limits, held: Held) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises Problem when it is too long, too slow, or cut short."""
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
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while is_coming and bytes_left > 0:
                            bytes_left -= len((await received()).get("body", b""))
            await send(message)

        await self.app(scope, received, sent)
