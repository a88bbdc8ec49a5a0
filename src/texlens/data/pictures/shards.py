"""Shards: packed pictures of formulas, written for a trainer that may already read the folder.

A shard is one uncompressed ``.npz`` (`numpy.load`), written atomically:

========= ======== =======================================================================
pixels    uint8    grey pictures (255 white), cropped to their ink, one after another
heights   int32    of each picture, in pixels
widths    int32    of each picture, in pixels
px_per_em float32  pixels in an em of the picture's type
formulas  uint8    the normal forms as UTF-8, joined by newlines
========= ======== =======================================================================

The bytes of a shard depend on the settings and on the shard's number alone: any number of
processes writes the same shards, and those that exist already are kept. ``shards.json`` records the
settings, so that a folder does not mix shards of different settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.errors import TexlensError
from texlens.images import encode_png
from texlens.records import Example
from texlens.runs import atomic_write, begin_or_resume, progress
from texlens.workers import map_in_workers

Grey = NDArray[np.uint8]
SETTINGS = "shards.json"


@dataclass(frozen=True, slots=True)
class FormulaPicture:
    """One rendered formula: grey values (height, width), 255 white, cropped to the ink."""

    grey: Grey
    pixels_per_em: float
    formula: str


# From a shard's number to its pictures; in place of one that cannot be rendered, the reason.
ShardMaker = Callable[[int], list[FormulaPicture | str]]


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
    workers: int = 1,
    force: bool = False,
    quiet: bool = True,
) -> Iterator[ShardReport]:
    """Write shards 0 to ``count - 1`` that do not exist yet, and report each as it is done.

    Args:
        source: what the shards are made of.
        folder: where they go; `force` removes the shards that it holds.
        count: number of shards.
        workers: processes.
        quiet: show no progress.

    Raises:
        InputError: an input cannot be used, or `folder` holds shards of other settings; nothing
            was written.
        TexlensError: a shard has no picture at all, or a process died.
    """
    source.open()  # fails here, not in a worker process
    if force:
        for file in [folder / SETTINGS, *folder.glob("shard-*.npz")]:
            file.unlink(missing_ok=True)
    begin_or_resume(folder / SETTINGS, source.settings())
    missing = [number for number in range(count) if not _path(folder, number).exists()]
    reports = map_in_workers(partial(_writer, source, folder), missing, workers)
    yield from progress(reports, total=len(missing), unit="shards", quiet=quiet)


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.npz"


def shard_number(name: str) -> int:
    """The number in the name of a shard's file."""
    return int(Path(name).stem.removeprefix("shard-"))


def _writer(source: ShardSource, folder: Path) -> Callable[[int], ShardReport]:
    return partial(_write, source.open(), folder)


def _write(make: ShardMaker, folder: Path, number: int) -> ShardReport:
    rendered = make(number)
    pictures = [picture for picture in rendered if isinstance(picture, FormulaPicture)]
    if not pictures:
        raise TexlensError(f"No formula of shard {number} could be rendered: {rendered[0]}.")
    _save(_path(folder, number), pictures)
    return ShardReport(number, len(pictures), len(rendered) - len(pictures))


def _save(path: Path, pictures: Sequence[FormulaPicture]) -> None:
    shapes = np.array([picture.grey.shape for picture in pictures], dtype=np.int32)
    with atomic_write(path) as file:
        np.savez(
            file,
            pixels=np.concatenate([picture.grey.ravel() for picture in pictures]),
            heights=shapes[:, 0],
            widths=shapes[:, 1],
            px_per_em=np.array([picture.pixels_per_em for picture in pictures], dtype=np.float32),
            formulas=np.frombuffer(
                "\n".join(picture.formula for picture in pictures).encode(), dtype=np.uint8
            ),
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """Grey pictures, 255 white, one after another, cropped to their ink; with their LaTeX."""

    pixels: NDArray[np.uint8]  # all pictures, row by row
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    pixels_per_em: NDArray[np.float32]
    formulas: list[str]

    def examples(self) -> Iterator[Example]:
        """The pictures with a white margin, as PNG files, with their LaTeX and their number."""
        sizes = list(zip(self.heights, self.widths, strict=True))
        parts = np.split(self.pixels, np.cumsum(self.heights * self.widths)[:-1])
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            picture = Image.fromarray(np.pad(part.reshape(size), 8, constant_values=255))
            yield Example(str(number), encode_png(picture), self.formulas[number])


def read_shard(path: Path) -> Shard:
    """Read a shard that `write_shards` wrote."""
    with np.load(path) as arrays:
        return Shard(
            arrays["pixels"],
            arrays["heights"].astype(np.int64),
            arrays["widths"].astype(np.int64),
            arrays["px_per_em"].astype(np.float32),
            arrays["formulas"].tobytes().decode("utf-8").split("\n"),
        )
