"""Steps that are done once: skipped while their inputs are the same, resumed when cut short.

A step leaves `steps/NAME.json` with everything that decides its result, files by the hash of their
content. It is written when the step begins and again when it ends. So a step whose record says
`done` for the same inputs is skipped; one that says `begun` is resumed, by what it left in its
own folder; and one whose inputs have changed is begun anew, in an empty folder.
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
from texlens.runs import provenance, write_json


class Steps:
    """The steps of a pipeline that works in `out`."""

    def __init__(self, out: Path, *, quiet: bool = False) -> None:
        self.folder = out / "steps"
        # A step does not go on with what other versions began.
        self.versions = provenance("torch", "transformers", "peft", "trl", "pyarrow", "mini-racer")
        self.quiet = quiet
        self.records: list[dict[str, Any]] = []

    def run(
        self, name: str, inputs: dict[str, Any], finished: Path, work: Callable[[], object]
    ) -> bool:
        """Do a step unless it is done.

        Args:
            name: of the step, and of its record.
            inputs: all that decides its result, as JSON.
            finished: the file that the step writes last, in a folder of its own.
            work: does the step, or goes on with what it finds in that folder.

        Returns:
            Whether anything was done.

        Raises:
            InputError: the step's folder is there, but no step of a pipeline made it.
        """
        asked = json.loads(json.dumps(inputs | {"versions": self.versions}))
        record = self._read(name)
        same = record.get("inputs") == asked
        if same and record["state"] == "done" and finished.is_file():
            self._note(name, record["seconds"], "kept: its inputs have not changed")
            return False
        if not same:
            _empty(finished.parent, ours=bool(record))
        path = self.folder / f"{name}.json"
        before = record["seconds"] if same else 0.0
        write_json(path, {"inputs": asked, "state": "begun", "seconds": before})
        self._say(f"{name}: " + ("goes on" if same else "begins"))
        start = time.monotonic()
        if not finished.is_file():  # else it was killed after its last file
            work()
        seconds = round(before + time.monotonic() - start, 1)
        write_json(path, {"inputs": asked, "state": "done", "seconds": seconds})
        self._note(name, seconds, "resumed and finished" if same else "done")
        return True

    def _read(self, name: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return record

    def _note(self, name: str, seconds: float, what: str) -> None:
        self.records.append({"step": name, "seconds": seconds, "what": what})
        self._say(f"{name}: {what} ({seconds:.0f} s)")

    def _say(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)


def _empty(folder: Path, *, ours: bool) -> None:
    """Take away what a step with other inputs left; never what somebody else did."""
    if not ours and folder.exists() and any(folder.iterdir()):
        raise InputError(f"'{folder}' was not made by this pipeline: give another --out.")
    shutil.rmtree(folder, ignore_errors=True)


def hash_files(paths: Iterable[Path], *, suffixes: tuple[str, ...] | None = None) -> str:
    """A hash over the names and contents of files, and of all files in folders.

    `suffixes` restricts it to files that end so.
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
