"""One worker process, as seen from the process that started it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from texlens.workers import program

PACKAGE = __package__
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)


class Reply(NamedTuple):
    """`value` is the result, or if not `ok` the exception; `grown`: the worker is to be replaced."""

    ok: bool
    value: Any
    grown: bool

    def result(self) -> Any:
        """The result of the job. Raises what the job raised."""
        if not self.ok:
            raise self.value
        return self.value


def job_message(make: Callable[[], Any], job: object) -> bytes:
    """The message that asks for a job: `make`, called once in a worker, returns what does it."""
    protocol = pickle.HIGHEST_PROTOCOL
    return pickle.dumps((pickle.dumps(make, protocol), pickle.dumps(job, protocol)), protocol)


class Worker:
    """A process that does one job at a time.

    Use it from one thread at a time; `cancel` and `kill` from any.
    """

    def __init__(self, *, own_threads: bool = False) -> None:
        """Start it, without waiting until it is ready. Raises OSError where that is not possible.

        Its libraries compute in one thread, or with `own_threads` in as many as in this process.
        """
        # Its own process group: Ctrl-C is for the user's process alone.
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"process_group": 0}
        )
        self._process = subprocess.Popen(
            # -P: nothing in the working directory or beside the program is imported.
            [sys.executable, "-P", str(Path(program.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | ({} if own_threads else _ONE_THREAD),
            **own_group,
        )
        assert isinstance(self._process.stdin, FileIO)
        assert isinstance(self._process.stdout, FileIO)
        self._requests = self._process.stdin
        self._replies = self._process.stdout
        self.seconds_left: float | None = None
        """Until it counts as hanging; None without a limit. The pool counts it down."""
        self.overdue = False
        """Whether it was killed because it took too long."""
        self.last_sign = time.monotonic()
        """When it last showed that it works: the time of its last message or sign of life."""
        self._writing = threading.Lock()
        self._is_ready = False
        with suppress(OSError):  # it has ended already: there will be no reply
            program.write_message(self._requests, pickle.dumps((_import_folders(), PACKAGE)))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def becomes_ready(self) -> bool:
        """Wait until it can work. False when it has ended, or ends before."""
        self._is_ready = self._is_ready or self._reply() == b"ready"
        return self._is_ready and self._process.poll() is None

    def do(self, message: bytes) -> Reply | None:
        """The reply to a message; None when the process ended before."""
        self.last_sign = time.monotonic()
        with suppress(OSError, ValueError):  # it has ended, or was closed meanwhile
            with self._writing:
                program.write_message(self._requests, message)
            reply = self._reply()
            return None if reply is None else Reply(*pickle.loads(reply))
        return None

    def cancel(self) -> None:
        """Let the job that runs end soon with `JobCancelled`, if it has a heartbeat."""
        with suppress(OSError, ValueError), self._writing:
            program.write_message(self._requests, program.CANCEL)

    def _reply(self) -> bytes | None:
        with suppress(OSError, ValueError):
            while (reply := program.read_message(self._replies)) == program.ALIVE:
                self.last_sign = time.monotonic()
            return reply
        return None

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it at once, whatever it does. Idempotent."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> str:
        """End it and free what belongs to it. Returns how it ended, for a message."""
        self.kill()
        status = self._process.wait()
        self._close_pipes()
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def disown(self) -> None:
        """Forget, in a forked process, the worker of the parent, which must keep its pipe alone."""
        self._process.returncode = 0  # nothing waits for it, nothing warns of it
        self._close_pipes()

    def _close_pipes(self) -> None:
        for stream in (self._requests, self._replies):
            with suppress(OSError, ValueError):
                stream.close()


def _import_folders() -> list[str]:
    """Where this process imports from; an empty entry is its working directory."""
    folders = [folder for folder in sys.path if folder]
    if "" in sys.path:
        with suppress(OSError):  # it is gone
            folders.append(str(Path.cwd()))
    return folders
