"""Requests that end in time: coroutines in the event loop of a background thread.

The threads of `RemoteReader` wait for their requests here. A request ends at its deadline, whatever
the server sends or does not send, and at once where the reading of all pictures ends: Ctrl-C need not
wait for a server that hangs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class CallsEnded(Exception):
    """The request was ended because nobody waits for it."""


class Calls:
    """The requests of one reading of many pictures. Use it from any thread."""

    def __init__(self) -> None:
        self._running: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._has_ended = False

    def wait_for(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        """The result of a coroutine function, which has so many seconds.

        Raises:
            TimeoutError: it took longer.
            CallsEnded: `end` was called.
        """

        async def in_time() -> T:
            async with asyncio.timeout(seconds):
                return await call()

        with self._lock:
            if self._has_ended:
                raise CallsEnded
            future = asyncio.run_coroutine_threadsafe(in_time(), _loop())
            self._running.add(future)
        try:
            return future.result()
        except BaseException as error:
            future.cancel()
            if self._has_ended:
                raise CallsEnded from error
            raise
        finally:
            self._running.discard(future)

    def end(self) -> None:
        """End all requests, also those to come."""
        with self._lock:
            self._has_ended = True
            running = list(self._running)
        for future in running:
            future.cancel()


_lock = threading.Lock()
_running_loop: asyncio.AbstractEventLoop | None = None


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all requests. Its thread does not keep the process alive."""
    global _running_loop
    with _lock:
        if _running_loop is None:
            _running_loop = asyncio.new_event_loop()
            threading.Thread(
                target=_running_loop.run_forever, name="texlens-requests", daemon=True
            ).start()
        return _running_loop


def _after_fork() -> None:
    """A forked process has none of the threads: it starts its own."""
    global _running_loop, _lock
    _running_loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
