"""A model on another server, as the model of this one.

Each picture is a batch of its own, and as many are read at a time as the other server takes. One that
hangs thus keeps only its own place, until its time is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from texlens.errors import TexlensError
from texlens.reading.backends.remote import RemoteReader
from texlens.reading.backends.remote_calls import Calls, CallsEnded
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.models.base import Model, State

_PROBED_FOR_SECONDS = 5.0


class RemoteModel(Model):
    """The model of a `RemoteReader`."""

    batch_size = 1

    def __init__(self, reader: RemoteReader) -> None:
        self._reader = reader
        self.concurrency = reader.concurrency
        self._calls: dict[int, Calls] = {}  # by the identity of the pictures
        self._probing = threading.Lock()
        self._probed_at = -_PROBED_FOR_SECONDS
        self._can_read = True

    def state(self) -> State:
        """Whether the other server answered, a few seconds ago at most."""
        with self._probing:
            if time.monotonic() - self._probed_at > _PROBED_FOR_SECONDS:
                self._can_read = self._reader.can_read()
                self._probed_at = time.monotonic()
        return "ready" if self._can_read else "unavailable"

    def read(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """The reading of each picture, or its error."""
        calls = self._calls[id(items)] = Calls()
        try:
            return list(self._reader.read_with(calls, items))
        except TexlensError as error:
            return [TexlensError(str(error)) for _ in items]
        except CallsEnded:
            return [TexlensError("This was cancelled.") for _ in items]
        finally:
            del self._calls[id(items)]

    def cancel(self, items: Sequence[Item]) -> None:
        """End the requests of these pictures at once."""
        if (calls := self._calls.get(id(items))) is not None:
            calls.end()

    def close(self) -> None:
        """End all requests."""
        for calls in list(self._calls.values()):
            calls.end()
