"""Batches of items and where they are done: in processes of this machine, or elsewhere.

Jobs that are made of independent items (scoring, cleaning, rendering) know only the protocol
`Workers`. `LocalWorkers` is the pool of this process; `texlens.distribute` has a Ray cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from texlens.workers.pool import HANG_SECONDS, WorkerFault, in_threads, run_each

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """What does batches of items."""

    def map_batches(
        self,
        make: Callable[[], Callable[[Sequence[Item]], list[Result]]],
        batches: Iterable[Sequence[Item]],
        *,
        seconds: float | None = HANG_SECONDS,
    ) -> Iterator[list[Result | WorkerFault]]:
        """The results of every batch, one an item, in the order of the batches.

        Args:
            make: called once in every process, returns the function that does a batch. It is
                pickled, as are items and results.
            batches: taken one by one, a few ahead of the results.
            seconds: a batch that takes longer hangs; None for no limit.

        Returns:
            The results; in place of one whose item ended its process or hung, a `WorkerFault`.

        Raises:
            TexlensError: no process can be started, or the function raised it.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalWorkers:
    """So many worker processes of this machine."""

    count: int = 1

    def map_batches(
        self,
        make: Callable[[], Callable[[Sequence[Item]], list[Result]]],
        batches: Iterable[Sequence[Item]],
        *,
        seconds: float | None = HANG_SECONDS,
    ) -> Iterator[list[Result | WorkerFault]]:
        """As `Workers.map_batches`."""
        return in_threads(partial(run_each, make, seconds=seconds), batches, self.count)


def as_workers(workers: int | Workers) -> Workers:
    """The workers of this machine, where only their number is given."""
    return LocalWorkers(workers) if isinstance(workers, int) else workers
