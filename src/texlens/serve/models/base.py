"""What reads the pictures of a server: a reader in this process, or one on another server.

`process` has the third kind: a reader in a process of its own.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import Reading

_log = logging.getLogger("texlens.serve")

State = Literal["ready", "unavailable"]
"""Whether a model can read at the moment."""


class BatchReader(Protocol):
    """What serving needs of a reader: `batch_size` is the number of pictures per batch."""

    batch_size: int

    def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
        """One reading for each picture, in the same order."""


class ModelUnavailable(Exception):
    """The model cannot read now. `retry_after`: seconds after which it probably can.

    `ended`: it ended while it read; one of the pictures may be the cause.
    """

    def __init__(self, message: str, retry_after: float, *, ended: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.ended = ended


class Model(ABC):
    """What reads batches for the queue. Its methods may be called from any thread.

    Attributes:
        batch_size: pictures that `read` takes at most.
        concurrency: how many calls of `read` there may be at the same time.
    """

    batch_size: int
    concurrency: int

    @abstractmethod
    def state(self) -> State:
        """Whether it can read."""

    @abstractmethod
    def read(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """The reading of each picture, or its error; waits for them.

        Raises:
            ModelUnavailable: none of them can be read now.
        """

    @abstractmethod
    def cancel(self, items: Sequence[Item]) -> None:
        """Nobody waits for a batch that is being read: end it soon, if that is possible."""

    @abstractmethod
    def close(self) -> None:
        """End it; a batch that is being read fails. Idempotent."""


class LocalModel(Model):
    """A reader in this process."""

    concurrency = 1

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader
        self.batch_size = reader.batch_size

    def state(self) -> State:
        """It can always read."""
        return "ready"

    def read(self, items: Sequence[Item]) -> Sequence[Reading | Exception]:
        """The reading of each picture, or its error."""
        return read_batch(self._reader, items)

    def cancel(self, items: Sequence[Item]) -> None:
        """The batch is read to its end."""

    def close(self) -> None:
        """Nothing has to be ended."""


def read_batch(reader: BatchReader, items: Sequence[Item]) -> Sequence[Reading | Exception]:
    """The reading of each picture of a batch, or its error."""
    try:
        return list(reader.read_many(items))
    except TexlensError as error:  # not caused by a picture, but by a remote model, say
        return [TexlensError(str(error)) for _ in items]
    except Exception as error:
        if len(items) > 1:  # find the picture that causes it; read the others
            return [result for item in items for result in read_batch(reader, [item])]
        # The message might contain LaTeX.
        _log.error("A picture could not be read: %s.", type(error).__name__)
        _log.debug("The fault of TexLens:", exc_info=True)
        return [RuntimeError(type(error).__name__)]
