"""The pictures that wait, and whose turn it is.

Clients take turns, and so do the requests of one client: each gives one picture at its turn. A
request of four pictures is thus read long before one of sixty that came earlier.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from texlens.reading.sources import Item
from texlens.records import Reading

SMALL_REQUEST = 4
"""A request with more pictures is large."""


@dataclass(eq=False, slots=True)
class Job:
    """One picture of a request, and the place of its reading."""

    item: Item
    result: asyncio.Future[Reading]


@dataclass(eq=False, slots=True)
class Pending:
    """A request: the pictures that have not been taken, in order."""

    client: str
    jobs: deque[Job]
    is_large: bool

    @property
    def is_bulk(self) -> bool:
        """Whether it is large, and pictures of it still wait when one has been taken."""
        return self.is_large and len(self.jobs) > 1


class Turns:
    """The waiting pictures of all requests of all clients."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[Pending]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        """The number of pictures."""
        return self._waiting.total()

    def of(self, client: str) -> int:
        """The number of pictures of one client."""
        return self._waiting[client]

    def add(self, client: str, jobs: Sequence[Job]) -> Pending:
        """Put a request of a client into the queue."""
        request = Pending(client, deque(jobs), len(jobs) > SMALL_REQUEST)
        if jobs:
            self._clients.setdefault(client, deque()).append(request)
            self._waiting[client] += len(jobs)
        return request

    def remove(self, request: Pending) -> None:
        """Take what is left of a request out of the queue."""
        if request.jobs:
            self._count(request.client, -len(request.jobs))
            request.jobs.clear()
            requests = self._clients[request.client]
            requests.remove(request)
            if not requests:
                del self._clients[request.client]

    def take(
        self, most: int, most_in_bulk: int, is_alone: Callable[[Item], bool] = lambda item: False
    ) -> list[Job]:
        """The pictures whose turn it is.

        Args:
            most: pictures to take.
            most_in_bulk: how many of them may be of large requests, but for their last picture.
            is_alone: whether a picture may only be taken without others.
        """
        taken: list[Job] = []
        in_bulk = 0
        passed = 0  # turns without a picture, one after another
        while self._clients and len(taken) < most and passed < self._turn_count():
            client, requests = next(iter(self._clients.items()))
            request = requests[0]
            alone = is_alone(request.jobs[0].item)
            if alone and taken:
                break
            self._clients.move_to_end(client)
            requests.rotate(-1)
            if request.is_bulk and in_bulk >= most_in_bulk:
                passed += 1
                continue
            passed = 0
            in_bulk += request.is_bulk
            taken.append(self._pop(request))
            if alone:
                break
        return taken

    def _pop(self, request: Pending) -> Job:
        """The next picture of a request, which leaves the queue with its last one."""
        if len(request.jobs) == 1:
            job = request.jobs[0]
            self.remove(request)
            return job
        self._count(request.client, -1)
        return request.jobs.popleft()

    def _turn_count(self) -> int:
        """Turns after which every request had one, whoever they belong to."""
        return len(self._clients) * max(map(len, self._clients.values()))

    def _count(self, client: str, change: int) -> None:
        self._waiting[client] += change
        if not self._waiting[client]:
            del self._waiting[client]
