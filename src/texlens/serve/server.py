"""The server process: its socket, uvicorn, and the timeout of idle connections."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from texlens.errors import InputError
from texlens.serve.middleware.problems import problem_response

IDLE_SECONDS = 20.0
_FINISH_SECONDS = 25.0  # for the current requests when the server is stopped
_SHUTDOWN_SECONDS = 30  # until connections are cut
_MAX_CONNECTIONS = 500  # beyond this, the one that has been idle for longest is closed
_MOST_CONNECTIONS = 1000  # beyond this, requests are refused
_BACKLOG = 1024


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


def open_unix_socket(path: Path) -> socket.socket:
    """A listening Unix socket, which its owner and group can use. One left behind is replaced.

    Raises:
        InputError: the path cannot be used, or a server listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                if other.connect_ex(str(path)) == 0:
                    raise InputError(f"Another server listens on '{path}'.")
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(_BACKLOG)
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot listen on '{path}': {reason}.") from error
    return listener


def allow_connections() -> None:
    """Let the process have as many open files as the system allows it: each connection is one."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(app: FastAPI, listener: socket.socket, *, proxies: Sequence[str] = ()) -> None:
    """Serve until SIGINT or SIGTERM.

    After SIGTERM the current requests are finished, as far as that is possible in 25 seconds. After
    SIGINT (Ctrl-C) they are refused at once. `proxies` are addresses whose X-Forwarded-For counts.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each bad form
    allow_connections()
    config = uvicorn.Config(
        app,
        http=IdleTimeoutProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Refuses what still waits when it must stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop because of a signal, which uvicorn would raise again at the end."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        seconds = 0.0 if sig == signal.SIGINT else _FINISH_SECONDS
        app = self.config.app
        assert isinstance(app, FastAPI)
        loop = asyncio.get_running_loop()
        stop = partial(app.state.queue.stop, "The server is being stopped: try again in a moment.")
        loop.call_soon_threadsafe(loop.call_later, seconds, stop)


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 that closes connections on which no request is being answered.

    uvicorn waits without limit for the rest of a request's headers, and for the rest of a body
    after its response. Here both count as idle. Where there are too many connections, the one that has
    been idle for longest makes room.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._update_timer()
        open_ = [one for one in self.connections if not one.transport.is_closing()]
        if len(open_) > _MAX_CONNECTIONS:
            idle = [one for one in open_ if getattr(one, "_timer", None) is not None]
            oldest = min(idle, key=lambda one: one._timer.when(), default=None)  # type: ignore[union-attr]
            if oldest is not None:
                oldest.transport.close()

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
