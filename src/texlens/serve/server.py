"""The server process: its socket, uvicorn, and the timeout of idle connections."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket

import h11
import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from texlens.errors import InputError
from texlens.serve.problems import problem_response

IDLE_SECONDS = 20.0
_SHUTDOWN_SECONDS = 30  # for the current requests when the server is stopped
_MAX_CONNECTIONS = 500  # each takes a file descriptor, of which there are often 1024
_BACKLOG = 256


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        InputError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot listen on {host} port {port}: {reason}.") from error
    return listener


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; the current requests are finished first."""
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each bad form
    config = uvicorn.Config(
        app,
        http=IdleTimeoutProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again at the end
        uvicorn.Server(config).run(sockets=[listener])


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 that closes connections on which no request is being answered.

    uvicorn waits without limit for the rest of a request's headers, and for the rest of a body
    after its response. Here both count as idle.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        """Handle data, and stop or start the timer."""
        super().data_received(data)
        self._update_timer()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a request whose body is cut short: its client may still receive.

        After a complete request the end means that the client has disconnected, as browsers do.
        """
        if self._is_answering and self.cycle.more_body:
            self.cycle.more_body = self.cycle.keep_alive = False
            self.cycle.message_event.set()
            return True
        return None

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP, and close the connection."""
        answer = problem_response(HTTPException(400, "The request is not valid HTTP."))
        head = h11.Response(
            status_code=400, headers=[*answer.raw_headers, (b"connection", b"close")]
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _update_timer(self) -> None:
        if self._is_answering:
            self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(IDLE_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
