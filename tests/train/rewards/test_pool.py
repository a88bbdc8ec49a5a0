"""The processes behind the rendered rewards: nothing stops them for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from texlens.train.rewards import pool as rewards_pool
from texlens.train.rewards.pool import TIMEOUT, RewardPool
from texlens.train.rewards.rendered import MAX_RENDERED_CHARACTERS

# Each takes far longer than an answer may, is short enough to be drawn, and KaTeX parses it.
MONSTERS = [
    r"\color{red}" * 180 + "x",
    r"\begin{array}{c}" + "x&" * 900 + r"\end{array}",
    r"\color{red}" * 180 + "y",
]


@pytest.fixture(scope="module")
def pool() -> Iterator[RewardPool]:
    with RewardPool(1) as pool:
        yield pool


def test_a_monster_counts_as_timeout_and_its_neighbours_do_not(pool: RewardPool) -> None:
    answers = ["x+y", MONSTERS[0], "x+z", MONSTERS[1], "x+y"]
    quiet = pool.score([("x+y", "x+y"), ("x+y", "x+z")])
    before = pool.timeouts
    seen = pool.score([("x+y", answer) for answer in answers])
    assert [rendered.error for rendered in seen] == [None, TIMEOUT, None, TIMEOUT, None]
    assert [seen[0], seen[2], seen[4]] == [quiet[0], quiet[1], quiet[0]]
    assert {(seen[i].cdm, seen[i].layout) for i in (1, 3)} == {(0.0, 0.0)}
    assert pool.timeouts == before + 2


def test_a_monstrous_reference_is_said_to_be_one(pool: RewardPool) -> None:
    seen = pool.score([(MONSTERS[2], "x"), ("x", "x")])
    assert seen[0].error == "the reference cannot be rendered in time"
    assert seen[1].cdm == 1


def test_a_reference_that_cannot_be_drawn_gives_zero(pool: RewardPool) -> None:
    seen = pool.score([(r"\frac{", "x"), ("x " * MAX_RENDERED_CHARACTERS, "x")])
    assert [(s.valid, s.cdm, s.layout) for s in seen] == [(True, 0, 0)] * 2
    assert "cannot be drawn" in (seen[0].error or "")
    assert "too many to render" in (seen[1].error or "")


def test_a_process_that_dies_by_itself_is_replaced(pool: RewardPool) -> None:
    for process in list(pool._processes):
        process._process.kill()
        process._process.wait()  # now writing to it fails
    assert pool.score([("x", "x")])[0].cdm == 1


def test_what_is_too_large_is_not_even_tried(pool: RewardPool) -> None:
    timeouts = pool.timeouts
    nested = r"\sqrt{" * 200 + "x" + "}" * 200
    seen = pool.score([("x", "x " * 1_000_000), ("x", nested), (nested, "x")])
    assert [s.error for s in seen] == [
        "the answer has 2000000 characters, too many to render",
        "the answer is nested 200 deep, too deep to render",
        "the reference is nested 200 deep, too deep to render",
    ]
    assert pool.timeouts == timeouts


def test_processes_that_cannot_start_are_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(rewards_pool, "_PAUSES_BEFORE_STARTS", (0.0, 0.0))
    with RewardPool() as broken:
        seen = broken.score([("x", "x"), ("y", "y")])
    assert [s.error for s in seen] == ["no process for rewards can be started"] * 2
    seen = broken.score([("x", "x")])
    assert [s.error for s in seen] == ["the processes for rewards have ended"]


@pytest.mark.skipif(os.name == "nt", reason="the limit is the operating system's")
def test_the_limit_of_time_holds_for_any_code() -> None:
    script = (
        "import re\n"
        "from texlens.train.rewards.rendered import processor_time_limit\n"
        "with processor_time_limit(0.05):\n"
        "    re.match('(a+)+$', 'a' * 60 + 'b')  # years, in C, under the interpreter's lock\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60)
    assert done.returncode == -signal.SIGPROF


@pytest.mark.skipif(os.name == "nt", reason="kill and ps are POSIX")
@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_a_script_needs_no_guard_and_leaves_no_process(end: str) -> None:
    script = (
        "import os\n"
        "from texlens.train.rewards.functions import REWARDS\n"
        "from texlens.train.rewards.pool import get_pool\n"
        "print(REWARDS['cdm'](['a+b', 'a'], ['a+b', 'a+b'])[0])\n"
        "print(*[p._process.pid for p in get_pool()._processes], flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script + end], stdout=subprocess.PIPE, text=True, timeout=60
    )
    value, pids = done.stdout.splitlines()
    assert value == "1.0"
    deadline = time.monotonic() + 30
    while any(map(is_alive, map(int, pids.split()))):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped by its parent does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")
