"""One model for many clients: pictures that arrive within milliseconds are read in one batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.exceptions import HTTPException

from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.middleware.problems import busy
from texlens.serve.models.base import Model, ModelUnavailable, State
from texlens.serve.models.batch_times import BatchTimes
from texlens.serve.models.suspects import Suspects
from texlens.serve.models.turns import SMALL_REQUEST, Job, Turns

# A batch is closed when no picture has arrived for GAP_SECONDS, and after MAX_WAIT_SECONDS at the
# latest. Clients that get their responses together send their next pictures one after another. A
# batch that did not wait for them would split them into two groups that are read in turn from then
# on. Such a wait may take WAIT_SHARE of the time that reading all of them will take.
GAP_SECONDS = 0.004
WAIT_SHARE = 0.1
MAX_WAIT_SECONDS = 0.1

# After a small request, batches with pictures of large ones are kept short for a while, so that the
# next small one does not wait long.
SHORT_BATCHES_SECONDS = 30.0

_log = logging.getLogger("texlens.serve")

BatchObserver = Callable[[Sequence[Reading | Exception], float], None]


class ReadingQueue:
    """A bounded queue of pictures, and the tasks that give them to the model.

    They start with the first request, or with `start`.

    Args:
        model: reads the batches.
        max_waiting: pictures in the queue, besides those being read.
        max_of_client: how many of them may belong to one client; None for no limit.
        observe: called after each batch with its results and seconds.
    """

    def __init__(
        self,
        model: Model,
        max_waiting: int,
        *,
        max_of_client: int | None = None,
        observe: BatchObserver = lambda results, seconds: None,
    ) -> None:
        self._model = model
        self._max_waiting = max_waiting
        self._max_of_client = max_of_client or max_waiting
        self._observe = observe
        self._turns = Turns()
        self._suspects = Suspects()
        self._times = BatchTimes()
        self._arrived = asyncio.Event()
        self._had_bulk = False  # whether the last batch had pictures of large requests
        self._small_seen = -SHORT_BATCHES_SECONDS
        self._expected = 0  # pictures, if every client just answered sends as many again
        self._stopped_by: HTTPException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._results: set[asyncio.Future[Reading]] = (
            set()
        )  # of all pictures, also those being read

    @property
    def waiting(self) -> int:
        """The number of pictures in the queue."""
        return len(self._turns)

    @property
    def state(self) -> State:
        """Whether pictures can be read now."""
        if self._stopped_by is not None or any(task.done() for task in self._tasks):
            return "unavailable"
        return self._model.state()

    async def read(self, items: Sequence[Item], client: str = "") -> list[Reading]:
        """The readings of a request's pictures, in their order.

        Cancellation removes the pictures that still wait from the queue, and ends the batch that is
        being read when nobody waits for any of it.

        Raises:
            HTTPException: the pictures cannot be read now (503), or the client has too many (429).
        """
        self._admit(items, client)
        self.start()
        loop = asyncio.get_running_loop()
        jobs = [Job(item, loop.create_future()) for item in items]
        results = {job.result for job in jobs}
        self._results |= results
        request = self._turns.add(client, jobs)
        if len(items) <= SMALL_REQUEST:
            self._small_seen = time.monotonic()
        self._arrived.set()
        try:
            return await asyncio.gather(*(job.result for job in jobs))
        finally:
            self._turns.remove(request)
            self._results -= results
            for result in results:
                result.cancel()

    def start(self) -> None:
        """Start the tasks in the running event loop, unless they run there."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._tasks = [
                asyncio.create_task(self.run(), name="texlens-queue")
                for _ in range(self._model.concurrency)
            ]

    async def close(self) -> None:
        """End the tasks and the model. What still waits is refused."""
        self.stop("The server is being stopped: try again in a moment.")
        await asyncio.to_thread(self._model.close)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop, self._tasks = None, []

    def stop(self, reason: str) -> None:
        """Refuse what waits, what is being read, and all that comes."""
        self._stopped_by = busy(reason, 5)
        for result in list(self._results):
            if not result.done():
                result.set_exception(busy(reason, 5))

    async def run(self) -> None:
        """Read what arrives, until it is cancelled."""
        # Always the same thread: OpenMP keeps a team of threads for each thread that uses it.
        with ThreadPoolExecutor(1, "texlens-reader") as executor:
            while True:
                batch = await self._next_batch()
                start = time.perf_counter()
                try:
                    results = await self._results_of(batch, executor)
                except Exception as error:  # a mistake of ours costs one batch
                    _log.exception("A batch could not be read.")
                    results = [error for _ in batch]
                seconds = time.perf_counter() - start
                for job, result in zip(batch, results, strict=True):
                    if job.result.done():
                        continue  # cancelled
                    if isinstance(result, Exception):
                        job.result.set_exception(result)
                    else:
                        job.result.set_result(result)
                self._times.add(len(batch), seconds)
                self._observe(results, seconds)
                self._expected = len(batch) + self.waiting

    def _admit(self, items: Sequence[Item], client: str) -> None:
        """Raise an HTTPException unless there is room for these pictures, and a model to read them."""
        if self._stopped_by is not None:
            raise self._stopped_by
        if any(self._suspects.is_refused(item) for item in items):
            raise HTTPException(422, "A picture of this request has ended the model several times.")
        seconds = self.waiting * self._times.per_picture
        if self.waiting + len(items) > self._max_waiting:
            raise busy("Too many pictures are waiting: try again later.", seconds)
        if self._turns.of(client) + len(items) > self._max_of_client:
            raise busy("Too many of your pictures are waiting: try again later.", seconds, 429)

    async def _results_of(
        self, batch: list[Job], executor: ThreadPoolExecutor
    ) -> Sequence[Reading | Exception]:
        """What the model returns for a batch; a 503 for each picture where there is no model."""
        loop = asyncio.get_running_loop()
        items = [job.item for job in batch]
        work = loop.run_in_executor(executor, self._model.read, items)
        waits = asyncio.gather(*(job.result for job in batch), return_exceptions=True)
        await asyncio.wait((work, waits), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            self._model.cancel(items)
        try:
            results = await work
        except ModelUnavailable as unavailable:
            if unavailable.ended:
                self._suspects.blame(items)
            refusal = busy(str(unavailable), unavailable.retry_after)
            self._refuse_waiting(refusal)
            return [refusal for _ in batch]
        self._suspects.clear(items)
        return results

    def _refuse_waiting(self, refusal: HTTPException) -> None:
        for job in self._turns.take(self.waiting, self.waiting):
            if not job.result.done():
                job.result.set_exception(refusal)

    async def _next_batch(self) -> list[Job]:
        batch: list[Job] = []
        while not batch:  # in `_gather` the clients may have disconnected
            while not self.waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._gather()
            batch = self._take()
        return batch

    def _take(self) -> list[Job]:
        """The next batch. A picture that may have ended the model is one of its own.

        After a small request, batches of small requests and short ones of large requests alternate.
        """
        size = self._model.batch_size
        is_mixed = time.monotonic() - self._small_seen < SHORT_BATCHES_SECONDS
        if not is_mixed:
            return self._turns.take(size, size, self._suspects.__contains__)
        batch: list[Job] = []
        if self._had_bulk:
            batch = self._turns.take(size, 0, self._suspects.__contains__)
        self._had_bulk = not batch
        short = min(size, self._times.pictures_in_short())
        return batch or self._turns.take(size, short, self._suspects.__contains__)

    async def _gather(self) -> None:
        """Wait until the pictures of a full batch have arrived, or no more arrive."""
        start = time.monotonic()
        while (count := self.waiting) < self._model.batch_size:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GAP_SECONDS):
                    await self._arrived.wait()
            waited = time.monotonic() - start
            if self.waiting <= count:  # nothing arrived
                allowed = WAIT_SHARE * self._times.per_picture * self._expected
                if count >= self._expected or waited > allowed:
                    break
            if waited > MAX_WAIT_SECONDS:
                break
