"""What runs on the nodes of a cluster: an actor that keeps what is expensive to build.

An actor does batches in a worker process of its own (`texlens.workers`), which it replaces where an
item ends it: faults are found and described as on one machine. A reader is in the actor's own
process, which may be bound to a GPU.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import ray

from texlens.addresses import reason
from texlens.errors import TexlensError
from texlens.workers import run_each

Function = Callable[[Sequence[Any]], list[Any]]


class Actor:
    """Does batches, one at a time, with the function of the last `make`."""

    def __init__(self) -> None:
        self._key = ""
        self._make: Callable[[], Function] | None = None
        self._function: Function | None = None  # made in this process

    def node(self) -> str:
        """The address of the actor's node, as soon as the actor runs."""
        return str(ray.util.get_node_ip_address())

    def do(
        self,
        key: str,
        pickled: list[ray.ObjectRef[bytes]],
        batch: Sequence[Any],
        isolated: bool,
        seconds: float | None,
    ) -> list[Any]:
        """The results of a batch, one an item.

        Args:
            key: which `make` it is.
            pickled: a reference to it, fetched once an actor.
            batch: the items.
            isolated: whether a worker process does the batch, or this one.
            seconds: after which the worker process counts as hanging.

        Raises:
            TexlensError: this node cannot do the job at all, whatever the item; its address is named.
        """
        try:
            if key != self._key:
                self._make = _loaded(ray.get(pickled[0]))
                self._function, self._key = None, key
            assert self._make is not None
            if isolated:
                return run_each(self._make, batch, seconds=seconds)
            if self._function is None:
                self._function = self._make()
            return self._function(batch)
        except TexlensError as error:
            raise TexlensError(f"On the node {self.node()}: {error}") from error
        except ImportError as error:
            raise TexlensError(
                f"On the node {self.node()} a package is missing or broken: {error}."
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TexlensError(f"On the node {self.node()}: {reason(error)}.") from error


def _loaded(pickled: bytes) -> Callable[[], Function]:
    try:
        make: Callable[[], Function] = pickle.loads(pickled)
    except AttributeError as error:  # of a script or a notebook, which no other process can import
        raise TexlensError(f"the job cannot be loaded: {error}.") from error
    return make
