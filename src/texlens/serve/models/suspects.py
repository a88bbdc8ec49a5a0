"""Pictures that were being read when the model's process ended.

One of them may be the cause. Each is read alone the next time, so that it can harm no other; one
that ends the process again and again is refused for a while.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable

from texlens.reading.sources import Item

_MOST = 1000  # remembered
_REFUSED_FROM = 3  # ends of the process: once among others, then twice alone
_REFUSED_SECONDS = 600.0


class Suspects:
    """How often the process ended with each picture."""

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def blame(self, items: Iterable[Item]) -> None:
        """The process ended while it read these pictures."""
        for key in {_key(item) for item in items}:  # the same picture may be there twice
            count, _ = self._ends.pop(key, (0, 0.0))
            self._ends[key] = (count + 1, time.monotonic())
        while len(self._ends) > _MOST:
            self._ends.popitem(last=False)

    def clear(self, items: Iterable[Item]) -> None:
        """These pictures were read."""
        if self._ends:
            for item in items:
                self._ends.pop(_key(item), None)

    def __contains__(self, item: Item) -> bool:
        """Whether a picture must be read alone."""
        return bool(self._ends) and _key(item) in self._ends

    def is_refused(self, item: Item) -> bool:
        """Whether a picture has ended the process too often to be read again now."""
        if not self._ends:
            return False
        count, last = self._ends.get(_key(item), (0, 0.0))
        return count >= _REFUSED_FROM and time.monotonic() < last + _REFUSED_SECONDS


def _key(item: Item) -> bytes:
    content = item.picture if isinstance(item.picture, bytes) else b""
    return hashlib.blake2b(content, digest_size=16).digest()
