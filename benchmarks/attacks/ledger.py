"""What an attack did, block by block: a file of JSON Lines by which it can be resumed, and its sums."""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HANG_SECONDS = 300
"""An item, or a block of a hundred, that takes longer hangs, even on a busy machine."""


class Hang(BaseException):
    """Something took longer than `HANG_SECONDS`. No `Exception`, so that nothing under attack catches it."""


@contextmanager
def watched(seconds: float = HANG_SECONDS) -> Iterator[None]:
    """Raise Hang where the block takes longer."""

    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_mb() -> int:
    """The most memory that this process has had, in MiB.

    On Linux `ru_maxrss` begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        high = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(high.split()[1]) >> 10
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used >> (20 if sys.platform == "darwin" else 10)


def attack(
    name: str, total: int, size: int, block: Callable[[range], dict[str, Any]], ledger: Path
) -> dict[str, Any]:
    """Run `block` over 0..total in steps of `size`, without what is in the ledger, and sum it all up.

    A block returns counts, `failures` (a list of what went wrong) and `peak_mb`.
    """
    records = _records(name, ledger)
    done = {record["first"] for record in records}
    for first in range(0, total, size):
        if first in done:
            continue
        numbers = range(first, min(first + size, total))
        start = time.perf_counter()
        record = {"attack": name, "first": first, "n": len(numbers), **block(numbers)}
        record["seconds"] = round(time.perf_counter() - start, 1)
        with ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        records.append(record)
        for failure in record["failures"]:
            print(f"    {failure}"[:400], flush=True)
        print(f"{name} {numbers.stop}/{total}, {record['seconds']} s", flush=True)
    sums = summed(records)
    print(f"{name}: {sums}", flush=True)
    return sums


def summed(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts added up, the greatest peak, and the number of failures."""
    sums: dict[str, Any] = {}
    for record in records:
        for key, value in record.items():
            if key == "failures":
                sums[key] = sums.get(key, 0) + len(value)
            elif key == "peak_mb":
                sums[key] = max(sums.get(key, 0), value)
            elif key not in ("attack", "first"):
                sums[key] = sums.get(key, 0) + value
    return sums


def _records(name: str, ledger: Path) -> list[dict[str, Any]]:
    if not ledger.exists():
        return []
    lines = ledger.read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line))["attack"] == name]
