"""Many clients, one reader: pictures that arrive within milliseconds are read in one batch."""

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

# A batch is closed when no picture has come for a gap, and after the patience at the latest. Clients
# that were answered together come back one after another; a batch that did not wait for them would
# split them into two lots for ever, read in turn. Such a wait may take a share of the time that
# reading them all will take.
GAP_SECONDS = 0.004
WAIT_SHARE = 0.1
PATIENCE_SECONDS = 0.1

_log = logging.getLogger("texlens.serve")


class BatchReader(Protocol):
    """What the queue needs of a reader: `batch_size` is pictures at a time."""

    batch_size: int

    def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
        """One reading a picture, in their order."""


@dataclass(frozen=True, slots=True)
class _Job:
    item: Item
    answer: Future[Reading] = field(default_factory=Future)


class ReadingQueue:
    """A bounded queue of pictures, and the one thread that reads them.

    `most_waiting`: pictures in the queue, besides those being read.
    """

    def __init__(self, reader: BatchReader, most_waiting: int) -> None:
        self._reader = reader
        self._most_waiting = most_waiting
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._seconds_a_picture = 0.05  # a running mean; the start is a guess
        self._expected = 0  # pictures, if every client just answered sends as many again
        self._thread = threading.Thread(target=self._run, name="texlens-reader", daemon=True)

    @property
    def waiting(self) -> int:
        """How many pictures wait to be read."""
        return len(self._waiting)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def close(self) -> None:
        """Finish the batch at work, turn away what still waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        for job in self._waiting:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(busy("The server is stopping.", 5))

    async def read(self, items: Sequence[Item]) -> list[Reading]:
        """The readings of a request's pictures, in their order.

        Cancelling it takes the pictures that still wait out of the queue. Raises Problem (503)
        when they do not all fit into it.
        """
        jobs = [_Job(item) for item in items]
        self._submit(jobs)
        try:
            return await asyncio.gather(*(asyncio.wrap_future(job.answer) for job in jobs))
        finally:
            self._withdraw(jobs)

    def _submit(self, jobs: list[_Job]) -> None:
        with self._changed:
            if self._is_closed:
                raise busy("The server is stopping.", 5)
            if len(self._waiting) + len(jobs) > self._most_waiting:
                seconds = len(self._waiting) * self._seconds_a_picture
                raise busy("Too many pictures are waiting: try again later.", seconds)
            self._waiting.extend(jobs)
            self._changed.notify()

    def _withdraw(self, jobs: list[_Job]) -> None:
        given_up = {id(job) for job in jobs if job.answer.cancel() or job.answer.cancelled()}
        if given_up:
            with self._changed:
                self._waiting = deque(job for job in self._waiting if id(job) not in given_up)

    def _run(self) -> None:
        while batch := self._next_batch():
            start = time.perf_counter()
            self._read([job for job in batch if job.answer.set_running_or_notify_cancel()])
            share = (time.perf_counter() - start) / len(batch)
            self._seconds_a_picture += 0.2 * (share - self._seconds_a_picture)
            self._expected = len(batch) + len(self._waiting)

    def _next_batch(self) -> list[_Job]:
        """The pictures of the next batch, waited for; none when the queue is closed."""
        size = self._reader.batch_size
        with self._changed:
            while not self._is_closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                self._gather(size)
                if self._waiting:  # their clients may have gone meanwhile
                    return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            return []

    def _gather(self, size: int) -> None:
        """Wait until pictures for a full batch have come, or no more come."""
        start = time.monotonic()
        while (count := len(self._waiting)) < size and not self._is_closed:
            self._changed.wait(GAP_SECONDS)
            waited = time.monotonic() - start
            if len(self._waiting) <= count:  # nothing came
                worth = WAIT_SHARE * self._seconds_a_picture * self._expected
                if count >= self._expected or waited > worth:
                    break
            if waited > PATIENCE_SECONDS:
                break

    def _read(self, batch: list[_Job]) -> None:
        try:
            readings = list(self._reader.read_many([job.item for job in batch]))
        except TexlensError as error:  # no picture is to blame, but the model's server, say
            for job in batch:
                job.answer.set_exception(error)
            return
        except Exception as error:
            if len(batch) > 1:  # find the one to blame; the others get their readings
                for job in batch:
                    self._read([job])
                return
            _log.exception("A picture could not be read.")
            batch[0].answer.set_exception(error)
            return
        for job, reading in zip(batch, readings, strict=True):
            job.answer.set_result(reading)
