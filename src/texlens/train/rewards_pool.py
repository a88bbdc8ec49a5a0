"""Processes that compute the rendered rewards beside the one that trains.

Every process of the pool serves one group of answers at a time (`rewards_rendered`). One that
spends too much time on an answer ends; the answer counts as a timeout, the rest of its group goes
to a spare process that stands ready, and a new one starts meanwhile: about a second of another
core, which nobody waits for.

The processes are started from this module's file, not by `multiprocessing`, so that the user's
script is not imported again: that works from a notebook, and without
`if __name__ == "__main__"`.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import IO

from texlens.train.rewards_rendered import READY, SECONDS_AN_ANSWER, TRUTH_DRAWN, Rendered

TIMEOUT = "timeout"
# The limit of processor time holds on a busy machine too. This one, by the clock, is for a process
# that uses none: stopped, or starved altogether.
_CLOCK_SECONDS_AN_ANSWER = 10.0
_CLOCK_SECONDS_TO_START = 120.0
_FAILED_STARTS = 3  # in a row, after which no more processes are started

_log = logging.getLogger(__name__)


class RewardPool:
    """Compares answers with truths in `workers` processes, and one spare.

    `seconds_an_answer` is the processor time that one answer may take. `timeouts` counts those that
    took more. Usable as a context manager; one that is not closed ends with this process.
    """

    def __init__(
        self, workers: int = 1, *, seconds_an_answer: float = SECONDS_AN_ANSWER, spares: int = 1
    ) -> None:
        self.timeouts = 0
        self._seconds = seconds_an_answer
        self._lanes = ThreadPoolExecutor(workers, thread_name_prefix="rewards")
        self._ready: SimpleQueue[_Process | None] = SimpleQueue()  # None: no process can be started
        self._processes: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._failed_starts = 0
        for _ in range(workers + spares):
            self._start()

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
        """What was seen of each pair of truth and answer, in order. Never raises.

        Answers to the same truth are compared together, equal ones once.
        """
        groups: dict[str, dict[str, Rendered | None]] = {}
        for truth, answer in pairs:
            groups.setdefault(truth, {})[answer] = None
        waiting = [
            (truth, answers, self._lanes.submit(self._score_group, truth, list(answers)))
            for truth, answers in groups.items()
        ]
        for _, answers, future in waiting:
            answers.update(zip(list(answers), future.result(), strict=True))
        return [groups[truth][answer] or Rendered() for truth, answer in pairs]

    def close(self) -> None:
        """End the processes. Idempotent."""
        with self._lock:
            self._closed = True
            processes = list(self._processes)
        self._ready.put(None)
        self._lanes.shutdown()
        for process in processes:
            process.end()

    def __enter__(self) -> RewardPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _score_group(self, truth: str, answers: list[str]) -> list[Rendered]:
        """What was seen of each answer to one truth, by as many processes as it takes."""
        seen: list[Rendered] = []
        while len(seen) < len(answers):
            process = self._ready.get()
            if process is None:
                self._ready.put(None)
                nothing = Rendered(error="no process for rewards can be started")
                return seen + [nothing] * (len(answers) - len(seen))
            alive, truth_drawn = process.score(truth, answers[len(seen) :], seen)
            if alive:
                self._ready.put(process)
                continue
            self._replace(process)
            if not truth_drawn:
                _log.warning("The truth %.200r cannot be drawn in time.", truth)
                nothing = Rendered(error="the truth cannot be drawn in time")
                return seen + [nothing] * (len(answers) - len(seen))
            _log.warning("The answer %.200r took too long: its reward is 0.", answers[len(seen)])
            self.timeouts += 1
            seen.append(Rendered(error=TIMEOUT))
        return seen

    def _replace(self, process: _Process) -> None:
        process.end()
        with self._lock:
            self._processes.discard(process)
        self._start()

    def _start(self) -> None:
        """Start a process, and a thread that waits until it is ready."""
        with self._lock:
            if self._closed:
                return
            try:
                process = _Process(self._seconds)
            except OSError as error:
                _log.error("No process for rewards can be started: %s.", error)
                self._ready.put(None)
                return
            self._processes.add(process)
        threading.Thread(target=self._await, args=(process,), daemon=True).start()

    def _await(self, process: _Process) -> None:
        if process.becomes_ready():
            self._failed_starts = 0
            self._ready.put(process)
            return
        self._failed_starts += 1
        if self._failed_starts < _FAILED_STARTS:
            self._replace(process)
        elif not self._closed:
            _log.error("The processes for rewards end as soon as they are started.")
            self._ready.put(None)


class _Process:
    """One process of the pool, as seen from this side."""

    def __init__(self, seconds_an_answer: float) -> None:
        command = [sys.executable, "-m", "texlens.train.rewards_rendered", str(seconds_an_answer)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            encoding="ascii",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[str] = self._process.stdin
        self._replies: IO[str] = self._process.stdout

    def becomes_ready(self) -> bool:
        """Wait for its first line. False when it ends before."""
        return self._reply(_CLOCK_SECONDS_TO_START) == READY

    def score(self, truth: str, answers: list[str], seen: list[Rendered]) -> tuple[bool, bool]:
        """Add what it sees of each answer to `seen`.

        Returns whether it is still alive, and whether the truth could be drawn before it ended.
        """
        try:
            self._requests.write(json.dumps([truth, answers]) + "\n")
            self._requests.flush()
        except OSError:
            return False, False
        if self._reply(_CLOCK_SECONDS_AN_ANSWER) != TRUTH_DRAWN:
            return False, False
        for _ in answers:
            reply = self._reply(_CLOCK_SECONDS_AN_ANSWER)
            if not isinstance(reply, dict):
                return False, True
            seen.append(Rendered(**reply))
        return True, True

    def end(self) -> None:
        """Kill it, if it has not ended."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._replies):
            with suppress(OSError):
                stream.close()

    def _reply(self, seconds: float) -> object:
        """The next line; None when the process ends or lets wait for so long that it is killed."""
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = self._replies.readline()
        finally:
            watchdog.cancel()
        return json.loads(line) if line.endswith("\n") else None


_pool: RewardPool | None = None
_pool_of: int | None = None
_pool_lock = threading.Lock()


def get_pool() -> RewardPool:
    """The pool of this process with one worker, started at the first call and closed at exit."""
    global _pool, _pool_of
    with _pool_lock:
        if _pool is None or _pool_of != os.getpid():  # a forked process has no threads of the pool
            _pool, _pool_of = RewardPool(), os.getpid()
            atexit.register(_pool.close)
        return _pool
