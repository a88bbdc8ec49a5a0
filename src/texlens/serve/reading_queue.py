"""One reader for many clients: pictures that arrive within milliseconds are read in one batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
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
    result: asyncio.Future[Reading]


class ReadingQueue:
    """A bounded queue of pictures, and the one thread that reads them.

    Args:
        reader: reads the batches.
        max_waiting: pictures in the queue, besides those being read.
    """

    def __init__(self, reader: BatchReader, max_waiting: int) -> None:
        self._reader = reader
        self._max_waiting = max_waiting
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._seconds_per_picture = 0.05  # a running mean; the first value is a guess
        self._expected = 0  # pictures, if every client just answered sends as many again

    @property
    def waiting(self) -> int:
        """The number of pictures in the queue."""
        return len(self._waiting)

    async def read(self, items: Sequence[Item]) -> list[Reading]:
        """The readings of a request's pictures, in their order.

        Cancellation removes the pictures that still wait from the queue.

        Raises:
            HTTPException: there is no room in the queue for all of them (503).
        """
        if len(self._waiting) + len(items) > self._max_waiting:
            seconds = len(self._waiting) * self._seconds_per_picture
            raise busy("Too many pictures are waiting: try again later.", seconds)
        loop = asyncio.get_running_loop()
        jobs = [_Job(item, loop.create_future()) for item in items]
        self._waiting.extend(jobs)
        self._arrived.set()
        try:
            return await asyncio.gather(*(job.result for job in jobs))
        finally:
            for job in jobs:
                job.result.cancel()
            self._waiting = deque(job for job in self._waiting if not job.result.done())

    async def run(self) -> None:
        """Read what arrives, until it is cancelled."""
        # Always the same thread: OpenMP keeps a team of threads for each thread that uses it.
        with ThreadPoolExecutor(1, "texlens-reader") as executor:
            loop = asyncio.get_running_loop()
            while True:
                batch = await self._next_batch()
                start = time.perf_counter()
                items = [job.item for job in batch]
                results = await loop.run_in_executor(executor, self._read, items)
                for job, result in zip(batch, results, strict=True):
                    if job.result.done():
                        continue  # cancelled
                    if isinstance(result, Exception):
                        job.result.set_exception(result)
                    else:
                        job.result.set_result(result)
                seconds = (time.perf_counter() - start) / len(batch)
                self._seconds_per_picture += 0.2 * (seconds - self._seconds_per_picture)
                self._expected = len(batch) + len(self._waiting)

    async def _next_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        while not batch:  # in `_gather` the clients may have disconnected
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._gather()
            count = min(self._reader.batch_size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
        return batch

    async def _gather(self) -> None:
        """Wait until the pictures of a full batch have arrived, or no more arrive."""
        start = time.monotonic()
        while (count := len(self._waiting)) < self._reader.batch_size:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GAP_SECONDS):
                    await self._arrived.wait()
            waited = time.monotonic() - start
            if len(self._waiting) <= count:  # nothing arrived
                allowed = WAIT_SHARE * self._seconds_per_picture * self._expected
                if count >= self._expected or waited > allowed:
                    break
            if waited > MAX_WAIT_SECONDS:
                break

    def _read(self, items: list[Item]) -> Sequence[Reading | Exception]:
        """The readings of a batch, or the error of each picture."""
        try:
            return list(self._reader.read_many(items))
        except TexlensError as error:  # not caused by a picture, but by a remote model, say
            return [error for _ in items]
        except Exception as error:
            if len(items) > 1:  # find the picture that causes it; read the others
                return [result for item in items for result in self._read([item])]
            _log.exception("A picture could not be read.")
            return [error]
