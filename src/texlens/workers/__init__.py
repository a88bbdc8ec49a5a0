"""Worker processes: one supervised pool for everything that can crash, hang or use several cores.

In: a function and its jobs. Out: one result a job, in order; where the process of a job ended, a
`WorkerFault`. MathJax, KaTeX and resvg run only here, so that no formula can end the user's process.

A worker is a program of its own (`program`), which reads jobs from a pipe and ends with that pipe.
It imports nothing of the user's script: the pool works in notebooks, in `python -c`, in scripts
without `if __name__ == "__main__"`, from any thread and inside event loops. A forked process makes
a pool of its own.

Read `program` (what runs there), then `process` (one worker, seen from here), then `pool`. A long job
calls `heartbeat`.
"""

from __future__ import annotations

from texlens.workers.batches import LocalWorkers, Workers, as_workers
from texlens.workers.heartbeat import JobCancelled, heartbeat
from texlens.workers.pool import (
    HANG_SECONDS,
    Pool,
    WorkerFault,
    get_pool,
    in_threads,
    map_in_workers,
    run_each,
    usable_cpus,
)
from texlens.workers.program import in_worker

__all__ = [
    "HANG_SECONDS",
    "JobCancelled",
    "LocalWorkers",
    "Pool",
    "WorkerFault",
    "Workers",
    "as_workers",
    "get_pool",
    "heartbeat",
    "in_threads",
    "in_worker",
    "map_in_workers",
    "run_each",
    "usable_cpus",
]
