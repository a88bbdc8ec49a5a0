"""The folders of jobs on the disk.

A job is a folder with the name of its id: `pictures.zip`, `job.json`, and `readings.jsonl` with one line for
each picture that was read. It is complete on the disk before it is accepted. A server that starts goes on
after the last whole line of the readings.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from texlens.errors import InputError
from texlens.runs import read_json, write_json

KEPT_SECONDS = 24 * 3600.0
"""A job is deleted so long after it has finished."""

_ID = re.compile("[0-9a-f]{32}")
_UNFINISHED = ".new"  # the suffix of a folder that is being made
_RESERVE_BYTES = 64 * 2**20  # of the disk that jobs leave free
_log = logging.getLogger("texlens.serve")

Status = Literal["waiting", "running", "finished"]


@dataclass(slots=True)
class Job:
    """A job as it is known in memory.

    Attributes:
        client: who sent it.
        total, done, failed: numbers of pictures: in all, read, and of these with an error.
        created, finished: in seconds since 1970; `finished` is None before.
    """

    id: str
    client: str
    total: int
    created: float
    finished: float | None = None
    done: int = 0
    failed: int = 0

    @property
    def status(self) -> Status:
        """Whether it has begun, and has finished."""
        if self.finished is not None:
            return "finished"
        return "running" if self.done else "waiting"


class JobStore:
    """All jobs in one folder, which belongs to one server.

    Raises InputError when the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.jobs: dict[str, Job] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / "lock")
            for path in sorted(folder.iterdir()):
                if path.name.endswith(_UNFINISHED):
                    _remove(path)
                elif _ID.fullmatch(path.name):
                    self._open(path)
        except OSError as error:
            raise InputError(
                f"The folder of jobs, '{folder}', cannot be used: {error.strerror}."
            ) from error

    def close(self) -> None:
        """Let another server use the folder. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add(self, client: str, make_archive: Callable[[Path], int]) -> Job:
        """Accept a job. When this returns it is on the disk.

        Args:
            client: who sent it.
            make_archive: writes the archive of pictures to a path and returns their number.

        Raises:
            OSError: there is no room for it.
        """
        job_id = secrets.token_hex(16)
        folder = self._folder / f"{job_id}{_UNFINISHED}"
        try:
            folder.mkdir()
            job = Job(job_id, client, make_archive(folder / "pictures.zip"), time.time())
            write_json(folder / "job.json", asdict(job))
            (folder / "readings.jsonl").touch()
            for path in (*folder.iterdir(), folder):
                _sync(path)
            folder.rename(self._folder / job_id)
            _sync(self._folder)
        except BaseException:
            _remove(folder)
            raise
        self.jobs[job_id] = job
        return job

    def check_room(self, size: int) -> None:
        """Raise OSError when there is no room for so many bytes."""
        if shutil.disk_usage(self._folder).free < size + _RESERVE_BYTES:
            raise OSError("The disk is full.")

    def incoming(self) -> Path:
        """A new path for an archive that is being received."""
        return self._folder / f"{secrets.token_hex(16)}.zip{_UNFINISHED}"

    def pictures(self, job: Job) -> Path:
        """The archive of a job's pictures."""
        return self._folder / job.id / "pictures.zip"

    def readings(self, job: Job) -> Path:
        """The file of a job's readings."""
        return self._folder / job.id / "readings.jsonl"

    def append(self, job: Job, records: Sequence[dict[str, Any]]) -> None:
        """Add readings, the next ones in order. Raises OSError, and then adds none."""
        content = memoryview("".join(json.dumps(record) + "\n" for record in records).encode())
        # Without a buffer: one that could not be written would be in the way of `truncate`, and half
        # a line would stay.
        with self.readings(job).open("r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
        job.done += len(records)
        job.failed += sum("error" in record for record in records)

    def finish(self, job: Job) -> None:
        """Record that a job has finished; its pictures are not needed any more."""
        finished = time.time()
        write_json(self._folder / job.id / "job.json", {**asdict(job), "finished": finished})
        job.finished = finished
        self.pictures(job).unlink(missing_ok=True)

    def delete(self, job: Job) -> None:
        """Delete a job."""
        self.jobs.pop(job.id, None)
        # Renamed first: a folder that is only half deleted is not taken for a job later.
        rest = self._folder / f"{job.id}{_UNFINISHED}"
        with contextlib.suppress(OSError):
            (self._folder / job.id).rename(rest)
        _remove(rest)

    def delete_old(self) -> None:
        """Delete the jobs that finished long ago."""
        for job in list(self.jobs.values()):
            if job.finished is not None and time.time() > job.finished + KEPT_SECONDS:
                self.delete(job)

    def _open(self, folder: Path) -> None:
        """A job of an earlier server; one that is damaged is left alone."""
        try:
            job = Job(**read_json(folder / "job.json"))
            path = folder / "readings.jsonl"
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):  # a line that was being written
                os.truncate(path, len(whole))
            lines = [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError, TypeError) as error:
            _log.error("The job in '%s' is damaged: %s.", folder, type(error).__name__)
            return
        job.done, job.failed = len(lines), sum("error" in line for line in lines)
        self.jobs[job.id] = job


def _remove(path: Path) -> None:
    """Remove a file or folder, as far as that is possible."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A file that is locked as long as this server runs. Raises InputError when another one has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InputError(f"Another server uses the folder of jobs, '{path.parent}'.") from error
    return descriptor
