"""Jobs over processes: every result, in the order of the jobs; a process that dies is an error."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from texlens.errors import TexlensError
from texlens.workers import map_in_workers


def _double() -> Callable[[int], tuple[int, int]]:
    start = os.getpid()
    return lambda job: (2 * job, start)


def _die(job: int) -> int:
    os._exit(1)


def _dying() -> Callable[[int], int]:
    return _die


def test_one_worker_is_this_process() -> None:
    assert list(map_in_workers(_double, range(5), 1)) == [(2 * n, os.getpid()) for n in range(5)]


@pytest.mark.slow
def test_results_come_in_the_order_of_the_jobs_from_other_processes() -> None:
    results = list(map_in_workers(_double, iter(range(40)), 2))
    assert [doubled for doubled, _ in results] == [2 * n for n in range(40)]
    assert os.getpid() not in {process for _, process in results}


@pytest.mark.slow
def test_a_process_that_dies_is_one_sentence() -> None:
    with pytest.raises(TexlensError, match="fewer --workers"):
        list(map_in_workers(_dying, range(3), 2))
