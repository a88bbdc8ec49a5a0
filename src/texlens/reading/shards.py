"""Readings of many pictures in a folder: shards of JSON Lines, and a manifest at the end.

    run.json                 the settings; a run is continued with the same settings only
    readings-00000.jsonl     the readings of the first pictures, as `texlens read --json` has them
    manifest.json            the shards with their sizes and hashes: a folder that has it is finished

A shard is written as a whole, once all of its pictures are read. A run that was cut short continues with
the shards that are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.runs import begin_or_resume, hold_folder, open_out_folder, write_bytes, write_json

MANIFEST = "manifest.json"
_RUN = "run.json"


def write_shards(
    items: Iterable[Item],
    read_many: Callable[[Iterable[Item]], Iterator[Reading]],
    out: Path,
    size: int,
    settings: dict[str, Any],
    *,
    force: bool = False,
) -> Iterator[Reading]:
    """Read pictures into shards of `size` readings, and give each reading as it is there.

    Args:
        items: the pictures, in an order that is the same in every run.
        read_many: one reading a picture, in order.
        out: the folder.
        size: readings a shard.
        settings: what the readings depend on.
        force: replace a finished or another run.

    Yields:
        The readings of this run; those of shards that exist are not read again.

    Raises InputError when `out` cannot be used, or has the readings of other pictures.
    """
    hold_folder(open_out_folder(out, marker=MANIFEST, force=force))
    if force:
        for old in [out / _RUN, *out.glob("readings-*.jsonl")]:
            old.unlink(missing_ok=True)
    begin_or_resume(out / _RUN, settings | {"shard_size": size})
    shards: list[dict[str, Any]] = []
    sizes: list[tuple[int, int]] = []  # the number and the length of each shard that is missing

    def missing() -> Iterator[Item]:
        remaining = iter(items)
        while part := list(islice(remaining, size)):
            path = out / _name(len(shards))
            if path.exists():
                content = path.read_bytes()
                _check_names(path, content, part)
                shards.append(_entry(path, content))
                continue
            sizes.append((len(shards), len(part)))
            shards.append({})
            yield from part

    readings = read_many(missing())
    for first in readings:  # of a shard: now its number and length are known
        number, length = sizes.pop(0)
        lines: list[str] = []
        for reading in chain([first], islice(readings, length - 1)):
            lines.append(json.dumps(reading.as_json(), ensure_ascii=False) + "\n")
            yield reading
        content = "".join(lines).encode("utf-8", errors="backslashreplace")
        write_bytes(out / _name(number), content)
        shards[number] = _entry(out / _name(number), content)
    write_json(out / MANIFEST, {"shards": shards, **settings})


def _name(number: int) -> str:
    return f"readings-{number:05d}.jsonl"


def _entry(path: Path, content: bytes) -> dict[str, Any]:
    return {
        "name": path.name,
        "readings": content.count(b"\n"),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _check_names(path: Path, content: bytes, items: list[Item]) -> None:
    names = [json.loads(line)["path"] for line in content.decode().split("\n") if line]
    if names != [item.name for item in items]:
        raise InputError(
            f"'{path}' has the readings of other pictures: give another --out, or --force."
        )
