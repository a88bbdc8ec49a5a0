"""The program of a worker process: `python -P program.py`, started and supervised by `process`.

It reads messages from its standard input and writes one reply to each to its standard output. A
message is a pickle with its length before it. The first one holds the folders to import from, which
come after the worker's own, so that no file of the user replaces a module of a library. Every other
is a pair: a pickled function without arguments, called once in this process, that returns the
function to use; and the pickled job for that function. A reply is (ok, result or exception, whether
the process has grown too much). An empty message cancels the job that runs, if it asks (`heartbeat`);
`ALIVE`, before a reply, is a sign that the job goes on.

When the input ends the process ends at once, whatever it is doing: the end of the parent closes the
pipe, also where the parent was killed.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

_READ_BYTES = 2**20  # at once: what a pipe holds, and more
LENGTH = struct.Struct("!Q")
CANCEL = b""
ALIVE = b"alive"
_BEAT_SECONDS = 0.5
MAX_GROWTH_BYTES = 2**30
"""A worker that has grown by more than this since its first job is replaced."""
_FUNCTIONS_KEPT = 16

_is_worker = False


def in_worker() -> bool:
    """Whether this process is a worker: what would be sent to one is done here instead."""
    return _is_worker


def read_message(stream: FileIO) -> bytes | None:
    """The next message; None at the end of the stream, also in the middle of a message."""
    head = _read_exactly(stream, LENGTH.size)
    return None if head is None else _read_exactly(stream, *LENGTH.unpack(head))


def _read_exactly(stream: FileIO, size: int) -> bytes | None:
    parts = []
    while size:
        part = stream.read(min(size, _READ_BYTES))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_message(stream: FileIO, message: bytes) -> None:
    """Write a message. Raises OSError when the other side has ended."""
    rest = memoryview(LENGTH.pack(len(message)) + message)
    while rest:
        rest = rest[stream.write(rest) :]


class _Jobs:
    """Does jobs with the functions made so far."""

    def __init__(self) -> None:
        self._functions: OrderedDict[bytes, Callable[[Any], Any]] = OrderedDict()
        self._first_size = 0

    def reply(self, message: bytes) -> bytes:
        """Do the job of a message."""
        try:
            make, job = pickle.loads(message)
            answer = (True, self._function(make)(pickle.loads(job)))
            return pickle.dumps((*answer, self._has_grown()), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return pickle.dumps((False, _portable(error), self._has_grown()))

    def _function(self, make: bytes) -> Callable[[Any], Any]:
        if make not in self._functions:
            self._functions[make] = pickle.loads(make)()
            if len(self._functions) > _FUNCTIONS_KEPT:
                self._functions.popitem(last=False)
        self._functions.move_to_end(make)
        return self._functions[make]

    def _has_grown(self) -> bool:
        size = _resident_bytes()
        self._first_size = self._first_size or size
        return size > self._first_size + MAX_GROWTH_BYTES


def _portable(error: Exception) -> Exception:
    """The exception with its traceback as a note; one that pickle cannot carry, as a RuntimeError."""
    error.add_note("In a worker process:\n" + traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _resident_bytes() -> int:
    """The memory of this process; 0 where the system does not give it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Channel:
    """Both directions of the pipe, and the state of the job that runs."""

    def __init__(self, requests: FileIO, replies: FileIO) -> None:
        self._requests, self._replies = requests, replies
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._is_cancelled = False
        self._last_beat = 0.0
        self._is_working = False

    def read(self) -> None:
        """Pass on messages; the end of the stream is the end of the process."""
        while (message := read_message(self._requests)) is not None:
            if message == CANCEL:
                self._is_cancelled = True
            else:
                self._is_cancelled = False  # a cancellation before it was of another job
                self._messages.put(message)
        os._exit(0)

    def next_message(self) -> bytes:
        """Wait for a job."""
        message = self._messages.get()
        self._is_working = True
        return message

    def reply(self, message: bytes) -> None:
        """Answer the job; signs of life of threads that it left behind are not sent any more."""
        with self._writing:
            self._is_working = False
            write_message(self._replies, message)

    def beat(self) -> bool:
        """Send a sign of life, not too often. Returns whether the job was cancelled."""
        now = time.monotonic()
        if now - self._last_beat > _BEAT_SECONDS:
            self._last_beat = now
            with self._writing:
                if self._is_working:
                    write_message(self._replies, ALIVE)
        return self._is_cancelled


def main() -> None:
    """Serve the process that started this one until it closes the pipe."""
    global _is_worker
    # Without buffers: one message is one write.
    requests, replies = FileIO(os.dup(0), "r"), FileIO(os.dup(1), "w")
    # What a library prints goes to standard error, not between the replies.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # a program with a window has none
        os.dup2(nowhere, 1)
    first = read_message(requests)
    if first is None:
        return
    folders, package = pickle.loads(first)
    sys.path += [folder for folder in folders if folder not in sys.path]
    # This file runs as `__main__`; the flag that others see is that of the module.
    __import__(package)
    sys.modules[package + ".program"]._is_worker = True  # type: ignore[attr-defined]
    channel = _Channel(requests, replies)
    sys.modules[package + ".heartbeat"].connect(channel.beat)
    threading.Thread(target=channel.read, daemon=True).start()
    jobs = _Jobs()
    try:
        channel.reply(b"ready")
        while True:
            channel.reply(jobs.reply(channel.next_message()))
    except OSError:  # the parent has ended
        os._exit(1)


if __name__ == "__main__":
    main()
