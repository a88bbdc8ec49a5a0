"""The pool of this process: takes a worker for each job, watches it, and replaces those that end.

A job runs in the thread that asks for it, which waits for the worker. One thread of the pool watches
the time of all jobs and ends workers that are not needed any more.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from texlens.errors import TexlensError
from texlens.workers.process import Worker, job_message
from texlens.workers.program import in_worker

Job = TypeVar("Job")
Item = TypeVar("Item")
Result = TypeVar("Result")

HANG_SECONDS = 200
"""A job without an answer for so long hangs. V8 ends what takes 60 s; this is for all else.

Seconds are counted one at a time, so that a computer that was asleep does not end a job.
"""
_START_SECONDS = 120
_IDLE_SECONDS = 60  # after which all idle workers but one are ended
_STARTS = 3  # attempts to start a worker before it is an error
_PAUSE_BETWEEN_STARTS = 0.5
_WAITING_PER_WORKER = 3  # jobs submitted ahead: enough to keep every worker busy


def usable_cpus() -> int:
    """The processors that this process may use: all, or those of its CPU affinity (`taskset`)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerFault(Exception):
    """The process of a job ended before its result. `hang`: it was ended because of its time."""

    def __init__(self, message: str, *, hang: bool = False) -> None:
        super().__init__(message)
        self.hang = hang


class Pool:
    """Worker processes, started when there is a job and none is idle.

    At most as many as there are processors, or as `allow` has asked for. A pool that is not closed
    ends with this process.
    """

    def __init__(self) -> None:
        self._limit = max(2, usable_cpus())
        self._idle: list[Worker] = []  # last in, first out: its caches are warm
        self._busy: set[Worker] = set()
        self._starting = 0
        self._idle_seconds = 0
        self._closed = False
        self._changed = threading.Condition()
        self._watch: threading.Thread | None = None

    def allow(self, workers: int) -> None:
        """Let so many jobs run at once, and one beside them."""
        with self._changed:
            self._limit = max(self._limit, workers + 1)

    def run(
        self,
        make: Callable[[], Callable[[Job], Result]],
        job: Job,
        *,
        seconds: float | None = HANG_SECONDS,
    ) -> Result:
        """Do one job in a worker.

        Args:
            make: called once in a worker, returns the function that does a job. It is pickled: what
                is expensive to build or to send belongs here, not in the jobs.
            job: is pickled, as is its result.
            seconds: the job's worker is ended after so long; None for no limit.

        Raises:
            WorkerFault: the worker ended before the result.
            TexlensError: no worker can be started.
            Exception: the job raised it.
        """
        message = job_message(make, job)
        worker = self._take(seconds)
        reply = None
        try:
            reply = worker.do(message)
        finally:
            # Also where the wait was interrupted: what comes out of the pipe next is not for us.
            self._give_back(worker, keep=reply is not None and not reply.grown)
        if reply is None:
            raise self._fault(worker)
        result: Result = reply.result()
        return result

    def close(self) -> None:
        """End all workers; jobs that run fail. Idempotent."""
        with self._changed:
            self._closed = True
            workers = [*self._idle, *self._busy]
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for worker in workers:
            worker.kill()
        for worker in idle:
            worker.close()

    def disown(self) -> None:
        """In a forked process: leave the workers to the parent. No lock: its owner may be gone."""
        for worker in [*self._idle, *self._busy]:
            worker.disown()

    @property
    def pids(self) -> list[int]:
        """The process numbers of all workers."""
        with self._changed:
            return [worker.pid for worker in [*self._idle, *self._busy]]

    def _take(self, seconds: float | None) -> Worker:
        """A worker that is ready, with so much time for its job."""
        starts = 0
        while starts < _STARTS:
            worker, fresh = self._next()
            # A fresh one may be as slow as the machine; that time is not the job's.
            if worker.becomes_ready():
                worker.seconds_left = seconds
                return worker
            self._give_back(worker, keep=False)
            if fresh:  # that idle ones were ended from outside says nothing of new ones
                starts += 1
                time.sleep(_PAUSE_BETWEEN_STARTS if starts < _STARTS else 0)
        raise TexlensError(
            "Worker processes end as soon as they start, perhaps for lack of memory: "
            "`texlens doctor` may show why."
        )

    def _next(self) -> tuple[Worker, bool]:
        """An idle worker or a new one, as soon as there may be one, and whether it is new."""
        with self._changed:
            while True:
                if self._closed:
                    raise TexlensError("The worker processes have been ended.")
                if self._idle:
                    idle = self._idle.pop()
                    self._busy.add(idle)
                    self._watch_jobs()
                    return idle, False
                if len(self._busy) + self._starting < self._limit:
                    self._starting += 1
                    break
                self._changed.wait()
        worker: Worker | None = None
        try:
            worker = Worker()
            worker.seconds_left = _START_SECONDS
        except OSError as error:
            raise TexlensError(f"A worker process cannot be started: {error}.") from error
        finally:
            with self._changed:
                self._starting -= 1
                if worker is not None:
                    self._busy.add(worker)
                    self._watch_jobs()
                self._changed.notify_all()
        return worker, True

    def _give_back(self, worker: Worker, *, keep: bool) -> None:
        worker.seconds_left = None
        with self._changed:
            self._busy.discard(worker)
            keep = keep and not self._closed
            if keep:
                self._idle.append(worker)
                self._idle_seconds = 0
            self._changed.notify_all()
        if not keep:
            worker.close()

    def _fault(self, worker: Worker) -> WorkerFault:
        if self._closed:
            return WorkerFault("the worker processes have been ended")
        if worker.overdue:
            return WorkerFault("took too long and was stopped", hang=True)
        return WorkerFault(f"ended its process ({worker.close()})")

    def _watch_jobs(self) -> None:
        """Start the thread that watches, if it does not run. Under the lock."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._each_second, daemon=True)
            self._watch.start()

    def _each_second(self) -> None:
        while True:
            time.sleep(1)
            surplus: list[Worker] = []
            with self._changed:
                for worker in self._busy:
                    if worker.seconds_left is not None:
                        worker.seconds_left -= 1
                        if worker.seconds_left <= 0:
                            worker.overdue = True
                            worker.kill()
                self._idle_seconds += 1
                if self._idle_seconds > _IDLE_SECONDS:
                    surplus, self._idle = self._idle[:-1], self._idle[-1:]
                if self._closed or (not self._busy and len(self._idle) <= 1):
                    self._watch = None  # the next worker that is started starts it again
            for worker in surplus:
                worker.close()
            if self._watch is None:
                return


def run_each(
    make: Callable[[], Callable[[Sequence[Item]], list[Result]]],
    items: Sequence[Item],
    *,
    seconds: float | None = HANG_SECONDS,
) -> list[Result | WorkerFault]:
    """Do a job of several items; where its worker ends, only the guilty item has a fault.

    The items are then done one by one, and one that ends its worker again is the guilty one: a
    worker may also end for other reasons. An item that hangs is not tried again.
    """
    pool = get_pool()
    try:
        return list(pool.run(make, list(items), seconds=seconds))
    except WorkerFault as fault:
        if len(items) == 1 and fault.hang:
            return [fault]
    results: list[Result | WorkerFault] = []
    for item in items:
        try:
            results += pool.run(make, [item], seconds=seconds)
        except WorkerFault as fault:
            results.append(fault)
    return results


def map_in_workers(
    make: Callable[[], Callable[[Job], Result]],
    jobs: Iterable[Job],
    workers: int,
    *,
    instead: Callable[[Job], Result] | None = None,
) -> Iterator[Result]:
    """The result of every job, in the order of the jobs.

    Args:
        make: called once in every process, returns the function that does one job. It must be
            picklable; what is expensive to build or to send belongs here, not in the jobs.
        jobs: taken one by one, a few ahead of the results.
        workers: number of processes; 1 does the jobs in this process, as does a worker.
        instead: called in this process for a job of which two processes died; with it one worker
            too is a process of its own.

    Raises:
        TexlensError: two processes died of the same job, and there is no `instead`.
    """
    if in_worker() or (workers <= 1 and instead is None):
        yield from map(make(), jobs)
        return
    yield from in_threads(lambda job: _run_twice(make, job, instead), jobs, max(1, workers))


def _run_twice(
    make: Callable[[], Callable[[Job], Result]],
    job: Job,
    instead: Callable[[Job], Result] | None,
) -> Result:
    try:
        return get_pool().run(make, job, seconds=None)
    except WorkerFault:
        pass  # perhaps not the job's fault
    try:
        return get_pool().run(make, job, seconds=None)
    except WorkerFault as fault:
        if instead is not None:
            return instead(job)
        raise TexlensError(
            f"A worker process {fault}, perhaps for lack of memory: run the same again with fewer "
            "--workers."
        ) from fault


def in_threads(do: Callable[[Job], Result], jobs: Iterable[Job], threads: int) -> Iterator[Result]:
    """The results of jobs that wait for workers, in order, so many at a time, a few ahead."""
    get_pool().allow(threads)
    executor = ThreadPoolExecutor(threads, thread_name_prefix="texlens")
    try:
        waiting: deque[Future[Result]] = deque()
        for job in jobs:
            waiting.append(executor.submit(do, job))
            if len(waiting) >= _WAITING_PER_WORKER * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


_pool: Pool | None = None
_pool_lock = threading.Lock()


def get_pool() -> Pool:
    """The pool of this process, closed at exit."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = Pool()
            atexit.register(_pool.close)
        return _pool


def _after_fork() -> None:
    """A forked process has none of the threads that used the pool, and must not hold its pipes."""
    global _pool, _pool_lock
    pool, _pool, _pool_lock = _pool, None, threading.Lock()
    if pool is not None:
        atexit.unregister(pool.close)
        pool.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
