"""Processes that compute the rendered rewards beside the one that trains.

Every process of the pool scores a few answers to one reference at a time (`rewards.rendered`). It
ends when they take longer together than a single answer may. Then each of them is tried alone, by a
spare process that is ready, and one that still takes too long counts as a timeout. New processes
start meanwhile: about a second of another core, for which nothing waits.

The processes are started as `python -m`, not by `multiprocessing`, so that the user's script is not
imported again: that works from a notebook, and without `if __name__ == "__main__"`.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import LifoQueue
from typing import IO

from texlens.train.rewards.rendered import READY, REFERENCE_RENDERED, SECONDS_AN_ANSWER, Rendered

TIMEOUT = "timeout"
# The limit of processor time holds on a busy machine too. This one, by the clock, is for a process
# that gets no processor time at all.
_CLOCK_SECONDS_A_REPLY = 10.0
_CHARACTERS_A_PORTION = 600  # some 20 ms
_CLOCK_SECONDS_TO_START = 120.0
_ATTEMPTS = 3  # with answers during which a process died for another reason than time
_PAUSES_BEFORE_STARTS = (0.0, 0.5, 2.0)  # seconds, before each attempt to start a process

_log = logging.getLogger(__name__)


class RewardPool:
    """Compares answers with references in `workers` processes, and one spare.

    `seconds_an_answer` is the processor time that one answer may take; `timeouts` counts the answers
    that took more. A context manager; a pool that is not closed ends with this process.
    """

    def __init__(
        self, workers: int = 1, *, seconds_an_answer: float = SECONDS_AN_ANSWER, spares: int = 1
    ) -> None:
        self.timeouts = 0
        self._seconds = seconds_an_answer
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="rewards")
        # Last in, first out: its caches are warm. None: there are no processes any more.
        self._ready: LifoQueue[_Process | None] = LifoQueue()
        self._processes: set[_Process] = set()
        self._starting = 0
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(workers + spares):
            self._start()

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
        """The scores of each pair of reference and answer, in order. Never raises.

        Answers to the same reference are compared together, equal ones once.
        """
        groups: dict[str, dict[str, Rendered | None]] = {}
        for reference, answer in pairs:
            groups.setdefault(reference, {})[answer] = None
        try:
            waiting = [
                (answers, self._threads.submit(self._score_group, reference, list(answers)))
                for reference, answers in groups.items()
            ]
        except RuntimeError:
            return [Rendered(error="the processes for rewards have ended")] * len(pairs)
        for answers, future in waiting:
            answers.update(zip(list(answers), future.result(), strict=True))
        return [groups[reference][answer] or Rendered() for reference, answer in pairs]

    def close(self) -> None:
        """End the processes. Idempotent."""
        with self._lock:
            self._closed = True
            processes = list(self._processes)
        self._ready.put(None)
        self._threads.shutdown()
        for process in processes:
            process.end()

    def __enter__(self) -> RewardPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _score_group(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        return [
            rendered
            for some in portions(answers)
            for rendered in self._score_portion(reference, some)
        ]

    def _score_portion(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """The scores of a few answers: together if that is fast enough, else one by one."""

        def failed(error: str) -> list[Rendered]:
            return [Rendered(error=error)] * len(answers)

        for _ in range(_ATTEMPTS):
            process = self._ready.get()
            if process is None:
                self._ready.put(None)
                return failed("no process for rewards can be started")
            try:
                scores = process.score(reference, answers)
            except _EndedError as ended:
                self._start()
                self._forget(process)
                if not ended.out_of_time:
                    continue
                if not ended.reference_was_rendered:
                    _log.warning("The reference %.80r cannot be rendered in time.", reference)
                    return failed("the reference cannot be rendered in time")
                if len(answers) > 1:
                    return [self._score_portion(reference, [answer])[0] for answer in answers]
                _log.warning("The answer %.80r takes too long: its reward is 0.", answers[0])
                self.timeouts += 1
                return failed(TIMEOUT)
            self._ready.put(process)
            return scores
        _log.warning("Processes for rewards die on the answer %.80r: its reward is 0.", answers[0])
        return failed("the process for rewards died")

    def _forget(self, process: _Process) -> None:
        process.end()
        with self._lock:
            self._processes.discard(process)

    def _start(self) -> None:
        """Start a process, without waiting for it."""
        with self._lock:
            self._starting += 1
        threading.Thread(target=self._bring_up, daemon=True).start()

    def _bring_up(self) -> None:
        """Try a few times to start a process; if none can be, wake up the threads that wait for one."""
        ready = None
        for pause in _PAUSES_BEFORE_STARTS:
            time.sleep(pause)
            process = self._new_process()
            if process is not None and process.becomes_ready():
                ready = process
            elif process is not None:
                self._forget(process)
            if ready or self._closed:
                break
        with self._lock:
            self._starting -= 1
            is_hopeless = not self._processes and not self._starting
        if ready is not None:
            self._ready.put(ready)
        elif is_hopeless:
            if not self._closed:
                _log.error("No process for rewards can be started: rendered rewards are 0.")
            self._ready.put(None)

    def _new_process(self) -> _Process | None:
        """A process, not yet ready; None when the pool is closed or there is no room for one."""
        with self._lock:
            if self._closed:
                return None
            try:
                process = _Process(self._seconds)
            except OSError:
                return None
            self._processes.add(process)
            return process


class _EndedError(Exception):
    """A process ended before its reply: for lack of time, and after rendering the reference?"""

    def __init__(self, *, out_of_time: bool, reference_was_rendered: bool) -> None:
        super().__init__()
        self.out_of_time = out_of_time
        self.reference_was_rendered = reference_was_rendered


class _Process:
    """One process of the pool, as seen from this side."""

    def __init__(self, seconds_an_answer: float) -> None:
        module = "texlens.train.rewards.rendered"
        # -P: nothing in the working directory is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(seconds_an_answer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            encoding="ascii",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[str] = self._process.stdin
        self._replies: IO[str] = self._process.stdout
        self._overdue = False

    def becomes_ready(self) -> bool:
        """Wait for its first line. False when it ends before."""
        return self._reply(_CLOCK_SECONDS_TO_START) == READY

    def score(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """The scores of answers to one reference. Raises _EndedError when it took too long or died."""
        rendered = False
        scores = None
        with suppress(OSError):  # it may have died since
            self._requests.write(json.dumps([reference, answers]) + "\n")
            self._requests.flush()
            rendered = self._reply(_CLOCK_SECONDS_A_REPLY) == REFERENCE_RENDERED
            scores = self._reply(_CLOCK_SECONDS_A_REPLY) if rendered else None
        if isinstance(scores, list):
            return [Rendered(**score) for score in scores]
        self.end()
        by_limit = hasattr(signal, "SIGPROF") and self._process.returncode == -signal.SIGPROF
        raise _EndedError(out_of_time=self._overdue or by_limit, reference_was_rendered=rendered)

    def end(self) -> None:
        """Kill it, if it has not ended."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._replies):
            with suppress(OSError):
                stream.close()

    def _reply(self, seconds: float) -> object:
        """The next line; None when the process ends, or is killed because it took so many seconds."""
        watchdog = threading.Timer(seconds, self._kill_overdue)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = self._replies.readline()
        except ValueError:  # closed meanwhile
            return None
        finally:
            watchdog.cancel()
        return json.loads(line) if line.endswith("\n") else None

    def _kill_overdue(self) -> None:
        self._overdue = True
        self._process.kill()


def portions(answers: Sequence[str]) -> Iterator[list[str]]:
    """Answers in portions that usually take well below the time that one answer may take."""
    portion: list[str] = []
    characters = 0
    for answer in answers:
        if portion and characters + len(answer) > _CHARACTERS_A_PORTION:
            yield portion
            portion, characters = [], 0
        portion.append(answer)
        characters += len(answer)
    if portion:
        yield portion


_pools: dict[int, RewardPool] = {}  # by process: a forked one has no threads of its parent's pool
_pools_lock = threading.Lock()


def get_pool() -> RewardPool:
    """The pool of this process with one worker, started at the first call and closed at exit."""
    with _pools_lock:
        if os.getpid() not in _pools:
            _pools[os.getpid()] = pool = RewardPool()
            atexit.register(pool.close)
        return _pools[os.getpid()]
