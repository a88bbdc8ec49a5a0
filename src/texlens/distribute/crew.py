"""The actors of a run, as seen from the process that started them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray

from texlens.distribute.actor import Actor
from texlens.errors import TexlensError

ROOM_SECONDS = 300
"""A cluster that has no room for a single actor for so long is given up: time for it to grow."""
_AHEAD = 2  # batches that an actor has at a time: one to do and one that waits beside it
_STARTS = 5  # actors that end before they run, one after another, before it is an error


@dataclass(frozen=True, slots=True)
class Share:
    """What an actor takes of its node. `gpus` may be a fraction."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = 2**30

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}, {self.memory_bytes / 2**30:g} GiB"


@dataclass(eq=False)
class Member:
    """An actor, how many batches it has, and on which node it is once it runs."""

    handle: Any
    node: str = ""
    load: int = 0
    is_reserved: bool = False  # for a batch that failed before: nothing waits behind it


@dataclass
class Crew:
    """So many actors, replaced when they end.

    Those for which there is no room yet wait for it, in Ray: a cluster that grows is used.
    """

    size: int
    share: Share
    members: list[Member] = field(default_factory=list)
    starting: dict[Any, Member] = field(default_factory=dict)
    _failed_starts: int = 0
    _without: float = 0.0  # since when no actor runs

    def fill(self) -> None:
        """Start the actors that are missing. Raises TexlensError where none finds room."""
        missing = self.size - len(self.members) - len(self.starting)
        if missing > 0:
            actor = ray.remote(Actor).options(
                num_cpus=self.share.cpus,
                num_gpus=self.share.gpus,
                memory=self.share.memory_bytes,
                max_restarts=0,
            )
            for _ in range(missing):
                handle = actor.remote()
                self.starting[handle.node.remote()] = Member(handle)
        if self.members:
            self._without = 0.0
            return
        self._without = self._without or time.monotonic()
        if time.monotonic() - self._without > ROOM_SECONDS:
            raise TexlensError(
                f"No node of the Ray cluster has had room for a worker ({self.share}) for "
                f"{ROOM_SECONDS} s: see `ray status`."
            )

    def started(self, ref: Any) -> None:
        """Take in an actor that runs, or drop one that ended before. Raises TexlensError."""
        member = self.starting.pop(ref)
        try:
            member.node = ray.get(ref)
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                reason = str(error).strip().splitlines()[0]
                raise TexlensError(
                    f"Workers on the Ray cluster end as soon as they start: {reason}"
                ) from error
            return
        self._failed_starts = 0
        self.members.append(member)

    def idlest(self, *, alone: bool = False) -> Member | None:
        """The actor with the fewest batches, if it may have another one; `alone`: one without any."""
        most = 1 if alone else _AHEAD
        free = [one for one in self.members if one.load < most and not one.is_reserved]
        return min(free, key=lambda member: member.load, default=None)

    def lose(self, member: Member) -> None:
        """Forget an actor that has ended. Idempotent."""
        with suppress(ValueError):
            self.members.remove(member)

    @property
    def nodes(self) -> int:
        """On how many nodes actors run."""
        return len({member.node for member in self.members})

    def end(self) -> None:
        """End all actors."""
        for member in [*self.members, *self.starting.values()]:
            with suppress(Exception):  # the cluster may be gone
                ray.kill(member.handle)
        self.members.clear()
        self.starting.clear()
