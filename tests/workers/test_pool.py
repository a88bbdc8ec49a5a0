"""The pool: every result, in the order of the jobs; a worker that ends costs only the guilty item."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from texlens.errors import InputError, TexlensError
from texlens.workers import Pool, WorkerFault, get_pool, map_in_workers, pool, program, run_each

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@pytest.fixture
def own_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool in place of the shared one, so that a test may break it."""
    own = Pool()
    monkeypatch.setattr(pool, "_pool", own)
    yield own
    own.close()


def _double() -> Callable[[int], tuple[int, int]]:
    return lambda job: (2 * job, os.getpid())


def _doubles() -> Callable[[Sequence[int]], list[int]]:
    """Doubles; some numbers have their own way of failing."""

    def double(job: int) -> int:
        if job == 13:
            os.kill(os.getpid(), KILL)
        if job == 14:
            time.sleep(600)
        if job == 15:
            raise InputError("15 is no number.")
        print(f"a library prints {job}")
        return 2 * job

    return lambda jobs: [double(job) for job in jobs]


def _dies_once() -> Callable[[str], int]:
    def work(marker: str) -> int:
        if not os.path.exists(marker):  # noqa: PTH110
            open(marker, "w").close()  # noqa: PTH123
            os.kill(os.getpid(), KILL)
        return os.getpid()

    return work


def _grows() -> Callable[[int], int]:
    held: list[bytearray] = []

    def work(megabytes: int) -> int:
        held.append(bytearray(os.urandom(2**20)) * megabytes)
        return os.getpid()

    return work


def test_one_worker_is_this_process() -> None:
    assert list(map_in_workers(_double, range(5), 1)) == [(2 * n, os.getpid()) for n in range(5)]


def test_results_come_in_the_order_of_the_jobs_from_other_processes() -> None:
    results = list(map_in_workers(_double, iter(range(40)), 2))
    assert [doubled for doubled, _ in results] == [2 * n for n in range(40)]
    assert os.getpid() not in {process for _, process in results}


def test_only_the_guilty_item_has_a_fault(own_pool: Pool) -> None:
    results = run_each(_doubles, [1, 2, 13, 4])
    assert [results[0], results[1], results[3]] == [2, 4, 8]
    assert isinstance(results[2], WorkerFault)
    assert f"signal {KILL.value}" in str(results[2])


def test_a_hang_is_ended_and_only_the_guilty_item_has_a_fault(own_pool: Pool) -> None:
    start = time.monotonic()
    results = run_each(_doubles, [1, 14, 3], seconds=2)
    assert time.monotonic() - start < 30
    assert isinstance(results[1], WorkerFault)
    assert results[1].hang
    assert [results[0], results[2]] == [2, 6]


def test_an_item_is_not_guilty_of_a_worker_that_was_killed(
    own_pool: Pool, tmp_path: os.PathLike[str]
) -> None:
    marker = os.path.join(tmp_path, "died")  # noqa: PTH118
    (pid,) = map_in_workers(_dies_once, [marker], 2)
    assert pid != os.getpid()


def test_an_idle_worker_that_was_killed_is_replaced(own_pool: Pool) -> None:
    assert run_each(_doubles, [1]) == [2]
    for pid in own_pool.pids:
        os.kill(pid, KILL)
    for _ in range(3):
        assert run_each(_doubles, [13])[0] != 26
        assert run_each(_doubles, [2]) == [4]


def test_an_error_of_a_job_is_raised_as_it_is_and_ends_no_worker() -> None:
    with pytest.raises(InputError, match="15 is no number"):
        run_each(_doubles, [15])
    pids = get_pool().pids
    assert run_each(_doubles, [1]) == [2]
    assert set(get_pool().pids) == set(pids)


def test_a_job_that_kills_two_workers_is_one_sentence(own_pool: Pool) -> None:
    with pytest.raises(TexlensError, match=r"ended its process \(signal.*fewer --workers"):
        list(map_in_workers(_doubles, [[13]], 2))


def test_workers_that_cannot_start_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PAUSE_BETWEEN_STARTS", 0)
    own = Pool()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TexlensError, match="Worker processes end as soon as they start"):
        own.run(_double, 1)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(TexlensError, match="cannot be started"):
        own.run(_double, 1)
    own.close()
    with pytest.raises(TexlensError, match="have been ended"):
        own.run(_double, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="development data absent")
def test_a_worker_that_has_grown_is_replaced(own_pool: Pool) -> None:
    first = own_pool.run(_grows, 1)
    assert own_pool.run(_grows, 1) == first
    assert own_pool.run(_grows, (program.MAX_GROWTH_BYTES >> 20) + 50) == first
    assert own_pool.run(_grows, 1) != first


def test_idle_workers_are_ended_but_for_one(
    own_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_IDLE_SECONDS", 1)
    own_pool.allow(2)
    sleepers = [
        threading.Thread(target=run_each, args=(_doubles, [14]), kwargs={"seconds": 1})
        for _ in range(2)
    ]
    for sleeper in sleepers:
        sleeper.start()
    while len(own_pool.pids) < 2:
        time.sleep(0.01)
    for sleeper in sleepers:
        sleeper.join()
    list(map_in_workers(_double, range(8), 2))
    deadline = time.monotonic() + 30
    while len(own_pool.pids) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
