"""Signs of life of a long job in a worker, and its cancellation.

A job that may take minutes calls `heartbeat` often. Its process then tells the one that started it
that the job goes on, and the job ends where nobody waits for its result any more.
"""

from __future__ import annotations

from collections.abc import Callable

from texlens.errors import TexlensError


class JobCancelled(TexlensError):
    """Nobody waits for the result of this job any more."""


_beat: Callable[[], bool] | None = None


def connect(beat: Callable[[], bool]) -> None:
    """In a worker: let `heartbeat` call `beat`, which returns whether the job was cancelled."""
    global _beat
    _beat = beat


def heartbeat() -> None:
    """Show that the job goes on. Costs nothing outside a worker; call it from any thread.

    Raises:
        JobCancelled: the job was cancelled.
    """
    if _beat is not None and _beat():
        raise JobCancelled("This was cancelled.")
