"""Batches on a cluster: done by its actors, given back in order, and tried again when they fail.

A batch whose actor ends, or whose function raises an error, is tried once more, since it may not be
the cause: a node may have died, or been taken back. Then it is halved, until the item that is the cause
is alone; after three failures the item is a `WorkerFault`, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ray

from texlens.distribute.crew import Crew, Member, Share
from texlens.errors import TexlensError
from texlens.workers import HANG_SECONDS, WorkerFault

Item = TypeVar("Item")
Result = TypeVar("Result")

STRIKES = 3
"""So many failures of an item alone, or of one and the batches that it was in."""
_OPEN_PER_ACTOR = 8  # batches begun and not given back: so much the others do beside a slow one
_WAIT_SECONDS = 1.0
_REPORT_SECONDS = 30.0


@dataclass(eq=False)
class _Part:
    """A batch, or a part of one that failed."""

    number: int  # of the batch
    start: int  # the place of its first item in the batch
    items: Sequence[Any]
    strikes: int = 0


@dataclass
class RayWorkers:
    """The actors of a cluster, with the method of `texlens.workers.Workers`.

    Args:
        size: the number of actors.
        share: what each takes of its node.
        isolated: whether batches are done in a worker process beside each actor, or in the actor.
        quiet: show no lines about the cluster.
    """

    size: int
    share: Share = field(default_factory=Share)
    isolated: bool = True
    quiet: bool = False

    def __post_init__(self) -> None:
        self._crew = Crew(self.size, self.share)

    def map_batches(
        self,
        make: Callable[[], Callable[[Sequence[Item]], list[Result]]],
        batches: Iterable[Sequence[Item]],
        *,
        seconds: float | None = HANG_SECONDS,
    ) -> Iterator[list[Result | WorkerFault]]:
        """As `Workers.map_batches`; an item that fails three times is a `WorkerFault` too."""
        run = _Run(self._crew, make, iter(batches), self.isolated, seconds, self.quiet)
        try:
            yield from run.results()
        finally:
            run.forget()

    def end(self) -> None:
        """End the actors."""
        self._crew.end()


class _Run:
    """One call of `map_batches`."""

    def __init__(
        self,
        crew: Crew,
        make: Callable[[], Any],
        batches: Iterator[Sequence[Any]],
        isolated: bool,
        seconds: float | None,
        quiet: bool,
    ) -> None:
        pickled = pickle.dumps(make, pickle.HIGHEST_PROTOCOL)
        self._crew, self._batches = crew, batches
        self._how = (hashlib.sha256(pickled).hexdigest(), [ray.put(pickled)])
        self._limits = (isolated, seconds)
        self._quiet = quiet
        self._left: deque[_Part] = deque()
        self._running: dict[Any, tuple[Member, _Part]] = {}
        self._found: dict[int, list[Any]] = {}  # results by number of the batch
        self._lacking: dict[int, int] = {}  # how many of a batch's results are not there yet
        self._taken = 0  # batches
        self._given = 0
        self._items = 0
        self._faults = 0
        self._retried = 0
        self._began = self._reported = time.monotonic()

    def results(self) -> Iterator[list[Any]]:
        """The results of each batch, in order."""
        more = True
        while True:
            more = more and self._take()
            self._crew.fill()
            self._hand_out()
            if not (more or self._left or self._running or self._given < self._taken):
                return
            self._wait()
            while self._lacking.get(self._given) == 0:
                del self._lacking[self._given]
                done = self._found.pop(self._given)
                self._given += 1
                self._items += len(done)
                # Before the last result: nobody may ask what comes after it.
                if not more and self._given == self._taken > 1:
                    self._report(after_seconds=0)
                yield done
            self._report()

    def forget(self) -> None:
        """Give up what still runs: its results are not wanted."""
        for ref, (member, _) in self._running.items():
            member.load -= 1
            member.is_reserved = False
            ray.cancel(ref)
        self._running.clear()

    def _take(self) -> bool:
        """Take batches as long as some may be begun; whether there may be more."""
        while self._taken - self._given < _OPEN_PER_ACTOR * self._crew.size:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._left.append(_Part(self._taken, 0, batch))
            self._found[self._taken] = [None] * len(batch)
            self._lacking[self._taken] = len(batch)
            self._taken += 1
        return True

    def _hand_out(self) -> None:
        while self._left:
            # What failed before is alone on its actor: if that ends, nothing else can be the cause.
            failed = self._left[0].strikes > 0
            member = self._crew.idlest(alone=failed)
            if member is None:
                return
            part = self._left.popleft()
            ref = member.handle.do.remote(*self._how, part.items, *self._limits)
            member.load += 1
            member.is_reserved = failed
            self._running[ref] = (member, part)

    def _wait(self) -> None:
        refs = [*self._running, *self._crew.starting]
        done, _ = ray.wait(refs, num_returns=1, timeout=_WAIT_SECONDS) if refs else ([], [])
        if done:  # all that are ready, not the first alone
            done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in done:
            if ref in self._running:
                self._finish(ref)
            else:
                self._crew.started(ref)

    def _finish(self, ref: Any) -> None:
        member, part = self._running.pop(ref)
        member.load -= 1
        member.is_reserved = False
        try:
            results = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, TexlensError):  # no item is the cause
                raise TexlensError(str(cause)) from error
            self._again(part, f"failed ({_one_line(cause)})")
        except ray.exceptions.RayError as error:
            self._crew.lose(member)
            self._again(part, f"ended its process ({_reason(error)})")
        else:
            self._store(part, results)

    def _again(self, part: _Part, why: str) -> None:
        self._retried += 1
        part.strikes += 1
        if len(part.items) > 1 and part.strikes > 1:
            half = len(part.items) // 2
            for start, items in ((0, part.items[:half]), (half, part.items[half:])):
                self._left.appendleft(_Part(part.number, part.start + start, items, 1))
        elif part.strikes < STRIKES:
            self._left.appendleft(part)
        else:
            self._store(part, [WorkerFault(why)])

    def _store(self, part: _Part, results: Sequence[Any]) -> None:
        self._found[part.number][part.start : part.start + len(part.items)] = results
        self._lacking[part.number] -= len(part.items)
        self._faults += sum(isinstance(result, WorkerFault) for result in results)

    def _report(self, after_seconds: float = _REPORT_SECONDS) -> None:
        """One line about the cluster, if the last one is so long ago."""
        now = time.monotonic()
        if self._quiet or now - self._reported < after_seconds:
            return
        self._reported = now
        crew = self._crew
        print(
            f"ray: {self._items / (now - self._began):.1f} items/s, {self._given} shards done, "
            f"{len(self._running)} in work, {self._retried} tried again, {self._faults} items failed, "
            f"{len(crew.members)} of {crew.size} workers on {crew.nodes} nodes",
            file=sys.stderr,
            flush=True,
        )


def _one_line(error: object) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _reason(error: Exception) -> str:
    """Why an actor has ended, from Ray's message of many lines."""
    text = " ".join(str(error).split())
    if "node has died" in text or "node died" in text or "node was terminated" in text:
        return "its node has died"
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "memory pressure" in text:
        return "for lack of memory"
    return type(error).__name__
