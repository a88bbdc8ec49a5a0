"""Processes that compute the rendered rewards beside the one that trains.

Every process of the pool serves a few answers to one reference at a time (`rewards_rendered`), and ends
when they take longer together than a single answer may. Then each of them is tried alone, by a
spare process that stands ready, and one that still takes too long counts as a timeout. New
processes start meanwhile: about a second of another core, which nobody waits for.

The processes are started from this module's file, not by `multiprocessing`, so that the user's
script is not imported again: that works from a notebook, and without
`if __name__ == "__main__"`.
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
from types import TracebackType
from typing import IO

from texlens.train.rewards.rendered import READY, REFERENCE_DRAWN, SECONDS_AN_ANSWER, Rendered

TIMEOUT = "timeout"
# The limit of processor time holds on a busy machine too. This one, by the clock, is for a process
# that uses none: stopped, or starved altogether.
_CLOCK_SECONDS_A_REPLY = 10.0
_CHARACTERS_A_PORTION = 600  # some 20 ms
_CLOCK_SECONDS_TO_START = 120.0
_ATTEMPTS = 3  # at answers of which a process died, but not for lack of time
_PAUSES_BEFORE_STARTS = (0.0, 0.5, 2.0)  # seconds, before each attempt to start a process

_log = logging.getLogger(__name__)


class RewardPool:
    """Compares answers with references in `workers` processes, and one spare.

    `seconds_an_answer` is the processor time that one answer may take. `timeouts` counts those that
    took more. Usable as a context manager; one that is not closed ends with this process.
    """

    def __init__(
        self, workers: int = 1, *, seconds_an_answer: float = SECONDS_AN_ANSWER, spares: int = 1
    ) -> None:
        self.timeouts = 0
        self._seconds = seconds_an_answer
        self._lanes = ThreadPoolExecutor(workers, thread_name_prefix="rewards")
        # The one used last is the warmest. None: there are no processes any more.
        self._ready: LifoQueue[_Process | None] = LifoQueue()
        self._processes: set[_Process] = set()
        self._starting = 0
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(workers + spares):
            self._start()

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
        """What was seen of each pair of reference and answer, in order. Never raises.

        Answers to the same reference are compared together, equal ones once.
        """
        groups: dict[str, dict[str, Rendered | None]] = {}
        for reference, answer in pairs:
            groups.setdefault(reference, {})[answer] = None
        try:
            waiting = [
                (answers, self._lanes.submit(self._score_group, reference, list(answers)))
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

    def _score_group(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """What was seen of each answer to one reference."""
        return [
            rendered
            for some in portions(answers)
            for rendered in self._score_portion(reference, some)
        ]

    def _score_portion(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """What was seen of a few answers: together if that is fast enough, else one by one."""
        for _ in range(_ATTEMPTS):
            process = self._ready.get()
            if process is None:
                self._ready.put(None)
                return [Rendered(error="no process for rewards can be started")] * len(answers)
            try:
                seen = process.score(reference, answers)
            except _Ended as ended:
                self._replace(process)
                if ended.out_of_time:
                    return self._after_timeout(reference, answers, ended.reference_was_drawn)
            else:
                self._ready.put(process)
                return seen
        _log.warning("Processes for rewards die of the answer %.80r: its reward is 0.", answers[0])
        return [Rendered(error="the process for rewards died")] * len(answers)

    def _after_timeout(
        self, reference: str, answers: Sequence[str], reference_was_drawn: bool
    ) -> list[Rendered]:
        if not reference_was_drawn:
            _log.warning("The reference %.80r cannot be drawn in time: no rewards.", reference)
            return [Rendered(error="the reference cannot be drawn in time")] * len(answers)
        if len(answers) > 1:
            return [self._score_portion(reference, [answer])[0] for answer in answers]
        _log.warning("The answer %.80r takes too long: its reward is 0.", answers[0])
        self.timeouts += 1
        return [Rendered(error=TIMEOUT)]

    def _replace(self, process: _Process) -> None:
        self._start()
        self._forget(process)

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
        """Start a process until it becomes ready, a few times; wake up who waits in vain."""
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
                _log.error("No process for rewards can be started: all rewards of drawings are 0.")
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


class _Ended(Exception):
    """A process ended before it had answered: for lack of time, and after drawing the reference?"""

    def __init__(self, *, out_of_time: bool, reference_was_drawn: bool) -> None:
        super().__init__()
        self.out_of_time = out_of_time
        self.reference_was_drawn = reference_was_drawn


class _Process:
    """One process of the pool, as seen from this side."""

    def __init__(self, seconds_an_answer: float) -> None:
        module = "texlens.train.rewards.rendered"
        # -P: nothing that lies in the working directory is imported.
        command = [sys.executable, "-P", "-m", module, str(seconds_an_answer)]
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
        self._overdue = False

    def becomes_ready(self) -> bool:
        """Wait for its first line. False when it ends before."""
        return self._reply(_CLOCK_SECONDS_TO_START) == READY

    def score(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """What it sees of answers to one reference. Raises _Ended when it took too long, or died."""
        reference_was_drawn = False
        with suppress(OSError):  # it may have died since
            self._requests.write(json.dumps([reference, answers]) + "\n")
            self._requests.flush()
            reference_was_drawn = self._reply(_CLOCK_SECONDS_A_REPLY) == REFERENCE_DRAWN
        seen = self._reply(_CLOCK_SECONDS_A_REPLY) if reference_was_drawn else None
        if not isinstance(seen, list):
            self.end()
            raise _Ended(out_of_time=self._out_of_time(), reference_was_drawn=reference_was_drawn)
        return [Rendered(**rendered) for rendered in seen]

    def _out_of_time(self) -> bool:
        """Whether it ended because it took too long; it must have ended."""
        return self._overdue or (
            hasattr(signal, "SIGPROF") and self._process.returncode == -signal.SIGPROF
        )

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
