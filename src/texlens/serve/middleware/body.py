"""Middleware that limits the bodies of requests: their bytes, their seconds and their memory.

A body is refused at the first byte above the limit, or earlier by its Content-Length. The bodies
of all requests share one memory budget, so memory is bounded whatever the clients do.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.serve.limits import Limits
from texlens.serve.middleware.prefix import address_of
from texlens.serve.middleware.problems import busy

JOBS = "/v1/jobs"
ARCHIVE = "application/zip"
_DRAINED_BYTES = 64 * 2**20
DRAIN_SECONDS = 2.0


class BodyMiddleware:
    """ASGI middleware that applies the limits where the application receives the body.

    The errors are HTTPExceptions raised by `receive`, so the application answers them as its own.

    If a request is refused while its client still sends, the rest of the body is received and
    discarded before the response starts, within bounds. Otherwise the connection would be reset,
    and the client might lose the response.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._free_bytes = limits.memory_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, headers = self._limits, Headers(scope=scope)
        length = int(headers.get("content-length", "0"))
        # The archive of a job goes to the disk as it arrives: only one part of it is in memory.
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_streamed = address_of(scope) == JOBS and kind == ARCHIVE
        most = limits.job_bytes if is_streamed else limits.body_bytes
        upload_seconds = limits.job_upload_seconds if is_streamed else limits.upload_seconds
        deadline = asyncio.get_running_loop().time() + upload_seconds
        received = in_memory = 0
        is_incomplete = length > 0 or "transfer-encoding" in headers
        is_sending = "expect" not in headers  # else the client waits for `100 Continue`

        async def receive_next() -> Message:
            nonlocal is_incomplete, is_sending
            is_sending = True
            message = await receive()
            is_incomplete = message.get("more_body", False)
            return message

        async def receive_limited() -> Message:
            nonlocal received, in_memory
            if not is_incomplete:
                return await receive()
            if headers.get("content-encoding", "identity") != "identity":
                raise HTTPException(415, "Compressed bodies are not supported.")
            if length > most:
                raise _too_large(most)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive_next()
            except TimeoutError as error:
                raise HTTPException(
                    408, f"The body did not arrive within {upload_seconds:g} seconds."
                ) from error
            count = len(message.get("body", b""))
            if received + count > most:
                raise _too_large(most)
            if is_streamed:
                self._free_bytes += in_memory
                in_memory = 0
            if count > self._free_bytes:
                raise busy("The server is receiving too much data: try again in a moment.", 2)
            self._free_bytes -= count
            in_memory += count
            received += count
            if received < length and not is_incomplete:
                raise HTTPException(
                    400, "The body is cut short: it is shorter than its Content-Length."
                )
            return message

        async def send_after_body(message: Message) -> None:
            bytes_left = _DRAINED_BYTES
            if message["type"] == "http.response.start" and is_sending:
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while is_incomplete and bytes_left > 0:
                            bytes_left -= len((await receive_next()).get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive_limited, send_after_body)
        finally:
            self._free_bytes += in_memory


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than the {most / 2**20:.3g} MiB allowed.")
