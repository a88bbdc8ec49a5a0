"""Listening: the socket, uvicorn, and clients that are too slow to finish a request's head."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from texlens.errors import InputError
from texlens.serve.problems import Problem, problem_response

HEAD_SECONDS = 20.0
_GRACE_SECONDS = 30  # for requests at work when the server is told to stop
_CONNECTIONS = 500  # each takes a file descriptor, of which there are often 1024
_BACKLOG = 256


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises InputError when the address cannot be used."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot listen on {host} port {port}: {reason}.") from error
    return listening


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests at work are finished first."""
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each bad form
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again in the end
        uvicorn.Server(config).run(sockets=[listening])


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose patience has an end.

    uvicorn waits for ever for the rest of a request's head, and for what is still sent of a body
    that was answered before its end. Both count as idle here, and idle connections are closed.
    """

    _idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and see whether a request is at work now."""
        super().data_received(data)
        self._watch()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a body that is cut short: its client may still listen.

        After a whole request the end means that the client has gone, as browsers do.
        """
        if self._is_at_work and self.cycle.more_body:
            self.cycle.more_body = self.cycle.keep_alive = False
            self.cycle.message_event.set()
            return True
        return None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and hang up."""
        answer = problem_response(Problem(400, "That is not valid HTTP."))
        head = h11.Response(
            status_code=400, headers=[*answer.raw_headers, (b"connection", b"close")]
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_watch()
        super().connection_lost(exc)

    @property
    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._is_at_work:
            self._stop_watch()
        elif self._idle is None and not self.transport.is_closing():
            self._idle = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_watch(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
