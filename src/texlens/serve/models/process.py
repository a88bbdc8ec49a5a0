"""The model in a process of its own, which is replaced when it ends, hangs or grows.

A fault in native code, or too little memory, then costs the pictures of one batch, not the server.
While there is no process that can read, `read` fails at once, with the seconds to wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.models.base import BatchReader, Model, ModelUnavailable, State, read_batch
from texlens.workers.process import Reply, Worker, job_message

_log = logging.getLogger("texlens.serve")

Reason = Literal["crash", "hang", "memory"]
"""Why a process was replaced: it ended, showed no sign of life, or had grown too much."""

_POLL_SECONDS = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # between attempts to start it; doubled each time
_STEADY_SECONDS = 60.0  # after which a process does not count as one that fails at once
_CANCEL_SECONDS = 15.0  # for a cancelled batch to end


class ModelProcess(Model):
    """A reader in a worker process that is watched by a thread.

    Args:
        open_reader: opens the reader in the process; must be picklable.
        hang_seconds: without a sign of life for so long during a batch, the process is replaced.

    Attributes:
        restarts: how often the process was replaced, by reason.

    Raises what `open_reader` raises.
    """

    concurrency = 1

    def __init__(self, open_reader: Callable[[], BatchReader], *, hang_seconds: float) -> None:
        self._open = _Opener(open_reader)
        self._hang_seconds = hang_seconds
        self._reading = threading.Lock()  # held during a batch
        self._must_end_by: float | None = None  # of a cancelled batch
        self._has_grown = False
        self._closed = threading.Event()
        self._load_seconds = 0.0
        self.restarts: Counter[Reason] = Counter()
        self._worker: Worker | None = None
        self._ready: Worker | None = None
        self.batch_size = self._load()
        self._watcher = threading.Thread(target=self._supervise, name="texlens-model", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int | None:
        """The number of the process that can read; None where there is none."""
        worker = self._ready
        return None if worker is None or worker.has_ended else worker.pid

    @property
    def memory_bytes(self) -> int:
        """The resident memory of the process; 0 where there is none, or the system does not tell."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        except OSError:
            return 0
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 if "VmRSS" in status else 0

    def state(self) -> State:
        """Whether the process can read."""
        return "unavailable" if self.pid is None else "ready"

    def read(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """The reading of each picture, or its error."""
        with self._reading:
            worker = self._ready
            if worker is None or worker.has_ended:
                raise self._unavailable("The model is being started again")
            self._must_end_by = None
            reply = worker.do(job_message(self._open, list(items)))
            if reply is None:
                self._ready = None
                raise self._unavailable("The model ended and is being started again", ended=True)
            if reply.grown:
                self._ready, self._has_grown = None, True
        results: Sequence[Reading | Exception] = reply.result()
        return results

    def cancel(self, items: Sequence[Item]) -> None:
        """End the batch that is being read: at its next token, or with its process."""
        worker = self._ready
        if worker is not None and self._reading.locked():
            self._must_end_by = time.monotonic() + _CANCEL_SECONDS
            worker.cancel()

    def close(self) -> None:
        """End the process. Idempotent."""
        self._closed.set()
        if self._worker is not None:
            self._worker.kill()
        self._watcher.join(5)

    def _unavailable(self, what: str, *, ended: bool = False) -> ModelUnavailable:
        sentence = f"{what}: try again in a moment."
        return ModelUnavailable(sentence, self._load_seconds, ended=ended)

    def _load(self) -> int:
        """Start a process and load the model. Returns the size of its batches."""
        start = time.monotonic()
        worker = Worker(own_threads=True)
        self._worker, self._has_grown = worker, False
        reply: Reply | None = None
        try:
            if worker.becomes_ready():
                reply = worker.do(job_message(self._open, None))
            if reply is None:
                raise TexlensError(
                    "The process of the model ended while it was loaded, perhaps for lack of memory."
                )
            batch_size: int = reply.result()
        except BaseException:  # Ctrl-C, too
            worker.close()
            raise
        self._load_seconds = time.monotonic() - start
        self._ready = worker
        return batch_size

    def _supervise(self) -> None:
        """Replace the process whenever it can no longer read, until this is closed."""
        pause = _FIRST_PAUSE
        while True:
            worker, since = self._worker, time.monotonic()
            assert worker is not None
            reason = self._watch(worker)
            self._ready = None
            worker.kill()
            with self._reading:  # the thread that waits for its reply
                how = worker.close()
            if reason is None:
                return
            self.restarts[reason] += 1
            _log.warning("The process of the model is replaced (%s, %s).", reason, how)
            if time.monotonic() - since > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            while not self._is_loaded():
                if self._closed.wait(pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_loaded(self) -> bool:
        """Load the model again; whether that worked."""
        try:
            self._load()
        except Exception as error:
            if not self._closed.is_set():
                _log.error("The model cannot be loaded: %s", error)
            return False
        return True

    def _watch(self, worker: Worker) -> Reason | None:
        """Wait until a process must be replaced, and return why; None when this is closed."""
        while not self._closed.wait(_POLL_SECONDS):
            if worker.has_ended:
                return "crash"
            now = time.monotonic()
            if self._has_grown:
                return "memory"
            if self._reading.locked():
                deadline = self._must_end_by
                silent = now - worker.last_sign > self._hang_seconds
                if silent or (deadline is not None and now > deadline):
                    return "hang"
        return None


class _Opener:
    """Opens the reader in the worker, and does the jobs there."""

    def __init__(self, open_reader: Callable[[], BatchReader]) -> None:
        self._open_reader = open_reader

    def __call__(self) -> Callable[[list[Item] | None], object]:
        reader = self._open_reader()

        def do(items: list[Item] | None) -> object:
            return reader.batch_size if items is None else read_batch(reader, items)

        return do
