"""The server process: its socket, uvicorn, and what a signal does."""

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

import uvicorn
from fastapi import FastAPI

from texlens.errors import InputError
from texlens.serve.connections import ClosingProtocol

_FINISH_SECONDS = 25.0  # for the current requests when the server is stopped
_SHUTDOWN_SECONDS = 30  # until connections are cut
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
        http=ClosingProtocol,
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
