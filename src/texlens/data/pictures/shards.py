"""Shards: packed pictures of formulas, written for a trainer that may already read the folder.

A shard is one ``.npz`` (`numpy.load`), compressed with bzip2 and written atomically; a picture of a
formula takes about a kilobyte:

========= ======== =======================================================================
pixels    uint8    grey pictures in 16 levels (0 black, 15 white), cropped to their ink, one
                   after another; two pixels in a byte, the first in its high half
heights   int32    of each picture, in pixels
widths    int32    of each picture, in pixels
px_per_em float32  pixels in an em of the picture's type
formulas  uint8    the normal forms as UTF-8, joined by newlines
styles    uint8    the renderer and font of each picture, likewise
dropped   uint8    JSON Lines: formulas without a picture, and why
========= ======== =======================================================================

The bytes of a shard depend on the settings and on the shard's number alone: any number of
processes writes the same shards, and those that exist already are kept. ``shards.json`` records the
settings, so that a folder does not mix shards of different settings; ``dropped.jsonl`` collects what
the shards dropped.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.data.pictures.renderers.base import Dropped, FormulaPicture, Rendered
from texlens.errors import InputError, TexlensError
from texlens.images import encode_png
from texlens.records import Example
from texlens.runs import (
    begin_or_resume,
    hold_folder,
    make_folder,
    progress,
    write_bytes,
    write_json_lines,
)
from texlens.workers import WorkerFault, Workers, as_workers

SETTINGS = "shards.json"
DROPPED = "dropped.jsonl"
_STEP = 17  # grey values between two of the 16 levels

# From a shard's number to its pictures; in place of one that cannot be rendered, the reason.
ShardMaker = Callable[[int], list[Rendered]]


class ShardSource(Protocol):
    """What a folder of shards is made of. It is picklable: every process opens its own."""

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        ...

    def open(self) -> ShardMaker:
        """The function that makes a shard. Raises InputError when an input cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class ShardReport:
    """The outcome of one shard: pictures written, formulas that could not be rendered."""

    number: int
    pictures: int
    left_out: int


def write_shards(
    source: ShardSource,
    folder: Path,
    count: int,
    *,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = True,
) -> Iterator[ShardReport]:
    """Write shards 0 to ``count - 1`` that do not exist yet, and report each as it is done.

    Args:
        source: what the shards are made of.
        folder: where they go; `force` removes the shards that it holds.
        count: number of shards.
        workers: processes, or where else shards are rendered; they are all written from here.
        quiet: show no progress.

    Raises:
        InputError: an input cannot be used, or `folder` holds shards of other settings; nothing
            was written.
        TexlensError: no picture at all could be rendered, or a shard ended its process again and
            again; the others were written.
    """
    source.open()  # fails here, not in a worker process
    make_folder(folder)
    hold_folder(folder)
    if force:
        for file in [folder / SETTINGS, folder / DROPPED, *folder.glob("shard-*.npz")]:
            file.unlink(missing_ok=True)
    begin_or_resume(folder / SETTINGS, source.settings())
    missing = [number for number in range(count) if not _path(folder, number).exists()]
    rendered = as_workers(workers).map_batches(
        partial(_maker, source), ([number] for number in missing), seconds=None
    )
    pictures = 0
    faults: dict[int, WorkerFault] = {}
    shown = progress(rendered, total=len(missing), unit="shards", quiet=quiet)
    for number, (shard,) in zip(missing, shown, strict=True):
        if isinstance(shard, WorkerFault):
            faults[number] = shard
            continue
        write_bytes(_path(folder, number), shard.content)
        pictures += shard.report.pictures
        yield shard.report
    dropped = _collect_dropped(folder)
    if faults:
        number, fault = next(iter(faults.items()))
        raise TexlensError(
            f"{len(faults)} of {len(missing)} shards are missing: shard {number} "
            f"{fault}, perhaps for lack of memory. Run the same command for these alone."
        )
    if missing and not pictures and dropped:
        raise TexlensError(
            f"No formula could be rendered; the first, '{dropped[0]['formula']}': "
            f"{dropped[0]['reason']}. All are in '{folder / DROPPED}'."
        )


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.npz"


def shard_number(name: str) -> int:
    """The number in the name of a shard's file."""
    return int(Path(name).stem.removeprefix("shard-"))


@dataclass(frozen=True, slots=True)
class _Made:
    """A shard's file, and what is in it."""

    content: bytes
    report: ShardReport


def _maker(source: ShardSource) -> Callable[[Sequence[int]], list[_Made]]:
    make = source.open()
    return lambda numbers: [_made(number, make(number)) for number in numbers]


def _made(number: int, rendered: list[Rendered]) -> _Made:
    pictures = [picture for picture in rendered if isinstance(picture, FormulaPicture)]
    dropped = [one for one in rendered if isinstance(one, Dropped)]
    return _Made(_packed(pictures, dropped), ShardReport(number, len(pictures), len(dropped)))


def _packed(pictures: Sequence[FormulaPicture], dropped: Sequence[Dropped]) -> bytes:
    shapes = np.array([p.grey.shape for p in pictures], dtype=np.int32).reshape(-1, 2)
    flat = [np.zeros(0, np.uint8), *(picture.grey.ravel() for picture in pictures)]
    arrays: dict[str, NDArray[Any]] = {
        "pixels": pack(np.concatenate(flat)),
        "heights": shapes[:, 0],
        "widths": shapes[:, 1],
        "px_per_em": np.array([picture.pixels_per_em for picture in pictures], dtype=np.float32),
        "formulas": _text(picture.formula for picture in pictures),
        "styles": _text(picture.style for picture in pictures),
        "dropped": _text(json.dumps(asdict(one), ensure_ascii=False) for one in dropped),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            # With a fixed date, so that the same pictures are the same bytes.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_BZIP2
            with archive.open(entry, "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def _text(lines: Iterable[str]) -> NDArray[np.uint8]:
    joined = "\n".join(lines).encode("utf-8", errors="backslashreplace")
    return np.frombuffer(joined, dtype=np.uint8)


def _lines(array: NDArray[np.uint8]) -> list[str]:
    return array.tobytes().decode("utf-8").split("\n") if array.size else []


def pack(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values 0 to 255 in 16 levels, two in a byte."""
    levels = (pixels.astype(np.uint16) + _STEP // 2) // _STEP
    levels = np.append(levels, np.zeros(len(levels) % 2, np.uint16))
    return (levels[0::2] << 4 | levels[1::2]).astype(np.uint8)


def unpack(packed: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first `count` grey values, 0 to 255, of what `pack` made."""
    levels = np.empty(2 * len(packed), np.uint8)
    levels[0::2], levels[1::2] = packed >> 4, packed & 15
    return levels[:count] * np.uint8(_STEP)


def _collect_dropped(folder: Path) -> list[dict[str, Any]]:
    """Write what all shards of the folder dropped into one file, each with its shard's number."""
    records: list[dict[str, Any]] = []
    for path in sorted(folder.glob("shard-*.npz")):
        number = int(path.stem.removeprefix("shard-"))
        with path.open("rb") as file, np.load(file) as arrays:
            lines = _lines(arrays["dropped"])
        records += [{"shard": number} | json.loads(line) for line in lines]
    write_json_lines(folder / DROPPED, records)
    return records


@dataclass(frozen=True, slots=True)
class Shard:
    """Grey pictures, 255 white, one after another, cropped to their ink; with their LaTeX."""

    pixels: NDArray[np.uint8]  # all pictures, row by row
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    pixels_per_em: NDArray[np.float32]
    formulas: list[str]
    styles: list[str] = field(default_factory=list)  # renderer and font of each

    def examples(self) -> Iterator[Example]:
        """The pictures with a white margin, as PNG files, with their LaTeX and their number."""
        sizes = list(zip(self.heights, self.widths, strict=True))
        parts = np.split(self.pixels, np.cumsum(self.heights * self.widths))[: len(sizes)]
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            picture = Image.fromarray(np.pad(part.reshape(size), 8, constant_values=255))
            yield Example(str(number), encode_png(picture), self.formulas[number])


def read_shard(path: Path) -> Shard:
    """Read a shard that `write_shards` wrote. Raises InputError when it is damaged or cut short."""
    with _opened(path) as arrays:
        heights, widths = (arrays[name].astype(np.int64) for name in ("heights", "widths"))
        return Shard(
            unpack(arrays["pixels"], int((heights * widths).sum())),
            heights,
            widths,
            arrays["px_per_em"].astype(np.float32),
            _lines(arrays["formulas"]),
            _lines(arrays["styles"]),
        )


def read_formulas(path: Path) -> list[str]:
    """The formulas of a shard, without unpacking its pictures. Raises as `read_shard`."""
    with _opened(path) as arrays:
        return _lines(arrays["formulas"])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The arrays of a shard's file, unpacked as they are asked for."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"The shard '{path}' is damaged or cut short: remove it, and render it again."
        ) from error
