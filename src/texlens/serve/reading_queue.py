"""One reader for many clients: pictures that arrive within milliseconds are read in one batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.problems import busy

# A batch is closed when no picture has arrived for GAP_SECONDS, and after MAX_WAIT_SECONDS at the
# latest. Clients that get their responses together send their next pictures one after another. A
# batch that did not wait for them would split them into two groups that are read in turn from then
# on. Such a wait may take WAIT_SHARE of the time that reading all of them will take.
GAP_SECONDS = 0.004
WAIT_SHARE = 0.1
MAX_WAIT_SECONDS = 0.1

_log = logging.getLogger("texlens.serve")


class BatchReader(Protocol):
    """What the queue needs of a reader: `batch_size` is the number of pictures per batch."""

    batch_size: int

    def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
        """One reading for each picture, in the same order."""


@dataclass(frozen=True, slots=True)
class _Job:
    item: Item
    result: Future[Reading] = field(default_factory=Future)


class ReadingQueue:
    """A bounded queue of pictures, and the one thread that reads them.

    `max_waiting`: pictures in the queue, besides those being read.
    """

    def __init__(self, reader: BatchReader, max_waiting: int) -> None:
        self._reader = reader
        self._max_waiting = max_waiting
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._seconds_per_picture = 0.05  # a running mean; the first value is a guess
        self._expected = 0  # pictures, if every client just answered sends as many again
        self._thread = threading.Thread(target=self._run, name="texlens-reader", daemon=True)

    @property
    def waiting(self) -> int:
        """The number of pictures in the queue."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Finish the current batch, refuse what still waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        for job in self._waiting:
            if job.result.set_running_or_notify_cancel():
                job.result.set_exception(busy("The server is stopping.", 5))

    async def read(self, items: Sequence[Item]) -> list[Reading]:
        """The readings of a request's pictures, in their order.

        Cancellation removes the pictures that still wait from the queue.

        Raises:
            HTTPException: there is no room in the queue for all of them (503).
        """
        jobs = [_Job(item) for item in items]
        self._submit(jobs)
        try:
            return await asyncio.gather(*(asyncio.wrap_future(job.result) for job in jobs))
        finally:
            self._withdraw(jobs)

    def _submit(self, jobs: list[_Job]) -> None:
        with self._changed:
            if self._is_closed:
                raise busy("The server is stopping.", 5)
            if len(self._waiting) + len(jobs) > self._max_waiting:
                seconds = len(self._waiting) * self._seconds_per_picture
                raise busy("Too many pictures are waiting: try again later.", seconds)
            self._waiting.extend(jobs)
            self._changed.notify()

    def _withdraw(self, jobs: list[_Job]) -> None:
        cancelled = {id(job) for job in jobs if job.result.cancel() or job.result.cancelled()}
        if cancelled:
            with self._changed:
                self._waiting = deque(job for job in self._waiting if id(job) not in cancelled)

    def _run(self) -> None:
        while batch := self._next_batch():
            start = time.perf_counter()
            self._read([job for job in batch if job.result.set_running_or_notify_cancel()])
            seconds = (time.perf_counter() - start) / len(batch)
            self._seconds_per_picture += 0.2 * (seconds - self._seconds_per_picture)
            self._expected = len(batch) + len(self._waiting)

    def _next_batch(self) -> list[_Job]:
        """Wait for the next batch; empty when the queue is closed."""
        size = self._reader.batch_size
        with self._changed:
            while not self._is_closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                self._gather(size)
                if self._waiting:  # their clients may have disconnected meanwhile
                    return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            return []

    def _gather(self, size: int) -> None:
        """Wait until the pictures of a full batch have arrived, or no more arrive."""
        start = time.monotonic()
        while (count := len(self._waiting)) < size and not self._is_closed:
            self._changed.wait(GAP_SECONDS)
            waited = time.monotonic() - start
            if len(self._waiting) <= count:  # nothing arrived
                allowed = WAIT_SHARE * self._seconds_per_picture * self._expected
                if count >= self._expected or waited > allowed:
                    break
            if waited > MAX_WAIT_SECONDS:
                break

    def _read(self, batch: list[_Job]) -> None:
        try:
            readings = list(self._reader.read_many([job.item for job in batch]))
        except TexlensError as error:  # not caused by a picture, but by a remote model, say
            for job in batch:
                job.result.set_exception(error)
            return
        except Exception as error:
            if len(batch) > 1:  # find the picture that causes it; read the others
                for job in batch:
                    self._read([job])
                return
            _log.exception("A picture could not be read.")
            batch[0].result.set_exception(error)
            return
        for job, reading in zip(batch, readings, strict=True):
            job.result.set_result(reading)
