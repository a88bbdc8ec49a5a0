"""Reads the pictures of jobs through the queue of all clients, and survives what happens to the model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice

from starlette.exceptions import HTTPException

from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.api.pictures import check_picture
from texlens.serve.api.schema import record_of
from texlens.serve.jobs.archive import read_pictures
from texlens.serve.jobs.store import Job, JobStore
from texlens.serve.limits import Limits
from texlens.serve.models.queue import ReadingQueue

_CHUNK = 32  # pictures in the queue at a time, for each job
_AT_A_TIME = 4  # jobs
_PAUSE_SECONDS = 10.0  # after an error of the disk
_ATTEMPTS = 90  # where reading fails, but for no picture's fault: a quarter of an hour
_CLEANING_SECONDS = 600.0
_log = logging.getLogger("texlens.serve")


class JobRunner:
    """Runs the unfinished jobs of a store, oldest first, a few at a time."""

    def __init__(self, store: JobStore, queue: ReadingQueue, limits: Limits) -> None:
        self._store = store
        self._queue = queue
        self._limits = limits
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start in the running event loop, unless it runs there."""
        if self._task is None or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._run(), name="texlens-jobs")
        self._changed.set()

    async def close(self) -> None:
        """Stop; what is unfinished goes on when a server starts again."""
        tasks = [task for task in (self._task, *self._running.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    async def delete(self, job: Job) -> None:
        """Stop a job, and delete it."""
        if (task := self._running.get(job.id)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._store.delete, job)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await asyncio.to_thread(self._store.delete_old)
            waiting = [
                job
                for job in sorted(self._store.jobs.values(), key=lambda job: job.created)
                if job.finished is None and job.id not in self._running
            ]
            for job in waiting[: _AT_A_TIME - len(self._running)]:
                task = asyncio.create_task(self._run_job(job), name=f"texlens-job-{job.id}")
                self._running[job.id] = task
                task.add_done_callback(lambda _, job=job: self._is_done(job))  # type: ignore[misc]
            try:
                async with asyncio.timeout(_CLEANING_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _is_done(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._changed.set()

    async def _run_job(self, job: Job) -> None:
        """Read what is left of a job. An error of the disk only delays it."""
        while job.finished is None:
            try:
                await self._read_all(job)
                await asyncio.to_thread(self._store.finish, job)
                _log.info("Job %s has finished: %d pictures.", job.id, job.total)
            except OSError as error:
                _log.error("Job %s waits: %s.", job.id, error.strerror or "the disk is full")
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as error:  # a mistake of ours must not lose the job
                _log.error("Job %s waits: %s.", job.id, type(error).__name__, exc_info=True)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _read_all(self, job: Job) -> None:
        path = self._store.pictures(job)
        pictures = read_pictures(path, job.done, self._limits.body_bytes)
        while True:
            chunk = await asyncio.to_thread(lambda: self._checked(list(islice(pictures, _CHUNK))))
            if not chunk:
                return
            readings = await self._read(chunk, f"{job.client} (job)")
            records = [record_of(reading) for reading in readings]
            await asyncio.to_thread(self._store.append, job, records)

    def _checked(self, pictures: Sequence[tuple[str, bytes | str]]) -> list[Item]:
        return [
            Item(name, None, content)
            if isinstance(content, str)
            else check_picture(name, content, self._limits).item
            for name, content in pictures
        ]

    async def _read(self, items: list[Item], client: str) -> list[Reading]:
        """The readings of a chunk, as soon as the model can read them."""
        attempts = 0
        while True:
            try:
                return await self._queue.read(items, client)
            except HTTPException as refusal:
                if refusal.status_code in (429, 503):
                    await asyncio.sleep(float((refusal.headers or {}).get("Retry-After", 1)))
                    continue
                error = refusal.detail
            except TexlensError as failure:  # not caused by a picture: another server is away, say
                attempts += 1
                if attempts <= _ATTEMPTS:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                error = str(failure)
            except RuntimeError as fault:
                error = f"TexLens failed on this picture ({fault}): please report it."
            if len(items) == 1:
                return [Reading(items[0].name, "", 0.0, error=error)]
            return [reading for item in items for reading in await self._read([item], client)]
