"""A reader that does what the names of its pictures say; it can be opened in a worker process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator

from texlens.errors import InputError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.workers import heartbeat


class ScriptedReader:
    """Reads the name of a picture as its LaTeX, and acts on some names."""

    batch_size = 8

    def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
        for item in pictures:
            act(item.name)
            if item.error is not None:
                yield Reading(item.name, "", 0.0, error=item.error)
            else:
                yield Reading(item.name, item.name, 1.0)


def act(name: str) -> None:
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "hangs":
        time.sleep(600)
    elif name == "works long":
        while True:
            time.sleep(0.01)
            heartbeat()
    elif name == "grows":
        sys.modules["__main__"].MAX_GROWTH_BYTES = -(2**40)  # type: ignore[attr-defined]
    elif name == "fails":
        raise RuntimeError(r"x^2 is secret")
    elif name == "pid":
        raise InputError(str(os.getpid()))


def no_reader() -> ScriptedReader:
    raise InputError("There is no model.")
