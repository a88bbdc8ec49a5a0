"""Steps that run once: skipped while their inputs are the same, resumed after an interruption.

A step writes `steps/NAME.json` when it begins and again when it ends. The record contains
everything that decides the result; files by a hash of their content. If a record has the same
inputs, a `done` step is skipped and a `begun` step is resumed from the files in its own folder. If
the inputs have changed, the step starts again in an empty folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.runs import provenance, read_json, write_json


class Steps:
    """The steps of a pipeline that works in `out`.

    `records` has one entry for each step so far: `step`, `seconds`, `what`.
    """

    def __init__(self, out: Path, *, quiet: bool = False) -> None:
        self.folder = out / "steps"
        # A step is not resumed with other versions than it began with.
        self.versions = provenance("torch", "transformers", "peft", "trl", "pyarrow", "mini-racer")
        self.quiet = quiet
        self.records: list[dict[str, Any]] = []

    def run(
        self, name: str, inputs: dict[str, Any], finished: Path, work: Callable[[], object]
    ) -> bool:
        """Run a step unless it is done.

        Args:
            name: of the step and of its record.
            inputs: everything that decides its result, as JSON.
            finished: the file that the step writes last, in a folder of its own.
            work: runs the step, or resumes it from the files in that folder.

        Returns:
            Whether anything was done.

        Raises:
            InputError: the step's folder exists, but was not made by a step.
        """
        path = self.folder / f"{name}.json"
        inputs = json.loads(json.dumps(inputs | {"versions": self.versions}))
        record = read_json(path) if path.is_file() else {}
        is_same = record.get("inputs") == inputs
        if is_same and record["state"] == "done" and finished.is_file():
            self._record(name, record["seconds"], "kept: its inputs have not changed")
            return False
        if not is_same:
            _clear(finished.parent, is_ours=bool(record))
        before = record["seconds"] if is_same else 0.0
        write_json(path, {"inputs": inputs, "state": "begun", "seconds": before})
        self._print(f"{name}: {'resumes' if is_same else 'begins'}")
        start = time.monotonic()
        if not finished.is_file():  # else it was interrupted after its last file
            work()
        seconds = round(before + time.monotonic() - start, 1)
        write_json(path, {"inputs": inputs, "state": "done", "seconds": seconds})
        self._record(name, seconds, "resumed and finished" if is_same else "done")
        return True

    def _record(self, name: str, seconds: float, what: str) -> None:
        self.records.append({"step": name, "seconds": seconds, "what": what})
        self._print(f"{name}: {what} ({seconds:.0f} s)")

    def _print(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)


def _clear(folder: Path, *, is_ours: bool) -> None:
    """Remove the files of a step with other inputs, but no files from elsewhere."""
    if not is_ours and folder.exists() and any(folder.iterdir()):
        raise InputError(f"'{folder}' was not made by this pipeline: give another --out.")
    shutil.rmtree(folder, ignore_errors=True)


def hash_files(paths: Iterable[Path], *, suffixes: tuple[str, ...] | None = None) -> str:
    """A SHA-256 hash of the names and contents of files, and of all files in folders.

    If `suffixes` is given, only files with these suffixes count.
    """
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if suffixes is not None and file.suffix not in suffixes:
                continue
            name = str(file.relative_to(path)).encode() if path.is_dir() else b""
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
            digest.update(len(name).to_bytes(4, "little") + name + content)
    return digest.hexdigest()
