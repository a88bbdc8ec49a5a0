"""One stream of jobs over several processes: in order, bounded, and with a clear error."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from texlens.errors import TexlensError

Job = TypeVar("Job")
Result = TypeVar("Result")

_WAITING_PER_WORKER = 3  # jobs submitted ahead: enough to keep every process busy


def map_in_workers(
    make: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], workers: int
) -> Iterator[Result]:
    """The result of every job, in the order of the jobs.

    Args:
        make: called once in every process, returns the function that does one job. It must be
            picklable; what is expensive to build or to send belongs here, not in the jobs.
        jobs: taken one by one, a few ahead of the results.
        workers: number of processes; 1 does the jobs in this process.

    Raises:
        TexlensError: a process died.
    """
    if workers <= 1:
        yield from map(make(), jobs)
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(make,)
    )
    try:
        waiting: deque[Future[Result]] = deque()
        for job in jobs:
            waiting.append(pool.submit(_work, job))
            if len(waiting) >= _WAITING_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise TexlensError(
            "A worker process died, perhaps for lack of memory: run the same again with fewer "
            "--workers. A Python script that uses more than one worker needs "
            "`if __name__ == '__main__':`."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_do: Callable[[Any], Any]  # of this worker process


def _start(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _do
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    _do = make()


def _work(job: Any) -> Any:
    return _do(job)
