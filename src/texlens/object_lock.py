"""The lock on a folder of an object store: an object that its holder renews.

No system there notices that a process has ended. So the holder writes `.lock` again every few seconds, and a
run that finds one which has not changed for a while takes it over. Each write depends on the state that
was seen (If-None-Match, If-Match): of several runs only one succeeds. Clocks play no part.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from texlens.addresses import s3_settings
from texlens.errors import InputError, TexlensError, require_extra

LOCK = ".lock"
RENEW_SECONDS = 5.0
ABANDONED_SECONDS = 60.0
"""A lock that has not changed for so long is of a run that has ended."""
_REQUEST_SECONDS = 20

_held: dict[str, _Lock] = {}


def hold(folder: Path) -> None:
    """Keep other runs from writing to a folder of an object store, as long as this process lives.

    Only S3 is locked. Where a store has no conditional writes, or the lock cannot be written for another
    reason, a line on standard error tells that nothing is locked.

    Raises InputError where another run holds the folder, or where nothing may be written there.
    """
    address = str(folder).rstrip("/")
    if not address.startswith("s3://") or address in _held:
        return
    require_extra("Writing to s3://...", "cluster", "obstore")
    from obstore.exceptions import BaseError, PermissionDeniedError

    lock = _Lock(address)
    try:
        lock.take()
    except (PermissionDeniedError, FileNotFoundError) as error:
        why = (
            "there is no such bucket"
            if isinstance(error, FileNotFoundError)
            else "permission denied"
        )
        raise InputError(f"Cannot write to '{address}': {why}.") from error
    except BaseError as error:
        why = str(error).splitlines()[0][:200].rstrip(".")
        print(
            f"texlens: '{address}' is not locked ({why}): make sure that no other run writes there.",
            file=sys.stderr,
            flush=True,
        )
        return
    if not _held:
        atexit.register(_release_all)
    _held[address] = lock


def check(file: Path) -> None:
    """Raise TexlensError where the folder of a file was locked by this process, and is not any more."""
    for address, lock in _held.items():
        if lock.is_lost and str(file).startswith(f"{address}/"):
            raise TexlensError(
                f"Another run has taken over '{address}': this one did not renew its lock for "
                f"{ABANDONED_SECONDS:.0f} s."
            )


def release(folder: Path) -> None:
    """Let others write to a folder again, if this process holds it."""
    if lock := _held.pop(str(folder).rstrip("/"), None):
        lock.release()


def _release_all() -> None:
    for address in list(_held):
        _held.pop(address).release()


class _Lock:
    """The object in one folder, and the thread that renews it."""

    def __init__(self, address: str) -> None:
        from obstore.store import S3Store

        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        region, endpoint = s3_settings()
        settings = {"region": region, "endpoint": endpoint}
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config={name: value for name, value in settings.items() if value},  # type: ignore[arg-type]
            client_options={
                "allow_http": True,
                "connect_timeout": f"{_REQUEST_SECONDS}s",
                "timeout": f"{_REQUEST_SECONDS}s",
            },
            retry_config={"max_retries": 2},
        )
        self._address = address
        self._times = 0
        self._version = ""  # the object's ETag
        self._ended = threading.Event()
        self.is_lost = False
        self._thread = threading.Thread(target=self._renew, name="texlens-lock", daemon=True)

    def take(self) -> None:
        """Write the lock, and keep it. Raises InputError where another run renews it."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        first, since = "", time.monotonic()
        while not self._thread.is_alive():
            try:
                if first and time.monotonic() - since > ABANDONED_SECONDS:
                    self._write({"e_tag": first})
                else:
                    self._write("create")
                self._thread.start()
            except AlreadyExistsError:
                version, holder = self._found()
                if version and version != (first or version):
                    raise InputError(
                        f"Another run writes to '{self._address}' ({holder}): wait for it, or give "
                        "another --out."
                    ) from None
                if version and not first:
                    print(
                        f"texlens: '{self._address}' has the lock of another run ({holder}): waiting up "
                        f"to {ABANDONED_SECONDS:.0f} s to see whether it still runs.",
                        file=sys.stderr,
                        flush=True,
                    )
                first = version
                time.sleep(min(1.0, RENEW_SECONDS))
            except PreconditionError:  # another one took it over in this moment
                first = ""

    def release(self) -> None:
        """Remove the lock, unless it is another run's by now."""
        import obstore

        self._ended.set()
        self._thread.join(_REQUEST_SECONDS)
        with suppress(Exception):  # what stays counts as abandoned
            if not self.is_lost and self._found()[0] == self._version:
                obstore.delete(self._store, LOCK)

    def _renew(self) -> None:
        from obstore.exceptions import BaseError, PreconditionError

        while not self._ended.wait(RENEW_SECONDS):
            try:
                self._write({"e_tag": self._version})
            except (PreconditionError, FileNotFoundError):
                self.is_lost = True
                return
            except (BaseError, OSError):
                continue  # the network: there is time for more attempts

    def _write(self, mode: Any) -> None:
        import obstore

        self._times += 1
        content = json.dumps(
            {
                "host": platform.node(),
                "process": os.getpid(),
                "written": datetime.now(UTC).isoformat(timespec="seconds"),
                "times": self._times,
            }
        )
        self._version = obstore.put(self._store, LOCK, content.encode(), mode=mode)["e_tag"] or ""

    def _found(self) -> tuple[str, str]:
        """The version of the lock that is there and who wrote it; empty texts where there is none."""
        import obstore

        try:
            found = obstore.get(self._store, LOCK)
        except FileNotFoundError:
            return "", ""
        version, content = found.meta["e_tag"] or "", bytes(found.bytes())
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(content)
            return version, f"process {record['process']} of {record['host']}"
        return version, "of an unknown process"
