"""The pictures of a Parquet file, decoded by worker processes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.data.pictures.shards import Shard
from texlens.errors import InputError
from texlens.images import crop_to_ink
from texlens.latex import normalize
from texlens.reading.pictures.type_size import type_size
from texlens.train.pretrain.settings import PictureSource
from texlens.workers import map_in_workers

T = TypeVar("T")

CHUNK = 500  # pictures that a worker takes at a time


class Labelled(NamedTuple):
    """A picture file with its LaTeX, its row, and how often it is to be drawn, against the others."""

    row: int
    image: bytes
    formula: str
    weight: float


def read_parquet(source: PictureSource, *, workers: int = 1) -> tuple[Shard, NDArray[np.float32]]:
    """Decode the pictures of a Parquet file into one shard: cropped to ink, LaTeX in normal form.

    Also returns how often each is to be drawn, against the others. `workers` are processes.

    Raises InputError when a file cannot be read, lacks a column, or `rows` or `labels` leave nothing.
    """
    weights: list[float] = []

    def chunks() -> Iterator[list[Labelled]]:
        for chunk in chunked(_labelled(source), CHUNK):
            weights.extend(picture.weight for picture in chunk)
            yield chunk

    parts = list(map_in_workers(partial(_decoder, source), chunks(), workers))
    if not parts:
        raise InputError(f"'{source.labels}' has a label for no picture of '{source.parquet}'.")
    shard = Shard(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.heights for part in parts]),
        np.concatenate([part.widths for part in parts]),
        np.concatenate([part.pixels_per_em for part in parts]),
        [formula for part in parts for formula in part.formulas],
    )
    return shard, np.array(weights, dtype=np.float32)


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of so many items; the last may have fewer."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _labelled(source: PictureSource) -> Iterator[Labelled]:
    """The pictures that are taken."""
    # Not at the top: they import far more than a worker needs.
    from texlens.data.labels.labelling import read_labels
    from texlens.train.data.examples import rows_of

    assert source.parquet is not None
    labels = None if source.labels is None else read_labels(source.labels)
    for row, example in enumerate(rows_of(source.parquet, source.rows)):
        if labels is None:
            yield Labelled(row, example.image, example.latex_formula, 1.0)
        elif example.id in labels:
            yield Labelled(row, example.image, *labels[example.id])


def _decoder(source: PictureSource) -> Callable[[list[Labelled]], Shard]:
    return partial(_decode, source)


def _decode(source: PictureSource, chunk: list[Labelled]) -> Shard:
    greys: list[NDArray[np.uint8]] = []
    sizes: list[float] = []
    for labelled in chunk:
        try:
            with Image.open(io.BytesIO(labelled.image)) as picture:
                whole = np.asarray(picture.convert("L"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"'{source.parquet}' row {labelled.row} of those asked for holds no picture: "
                "prepare the file with `texlens data prepare`, which drops such rows."
            ) from error
        grey = crop_to_ink(whole)
        if grey is None:  # a blank picture becomes a single pixel
            grey = whole[:1, :1]
        greys.append(grey)
        size = source.pixels_per_em or type_size(grey.astype(np.float32))
        sizes.append(size or grey.shape[0])  # nothing but rules and dots: as high as it is
    return Shard(
        np.concatenate([grey.ravel() for grey in greys]),
        np.array([grey.shape[0] for grey in greys], dtype=np.int64),
        np.array([grey.shape[1] for grey in greys], dtype=np.int64),
        np.array(sizes, dtype=np.float32),
        [" ".join(normalize(labelled.formula).split()) for labelled in chunk],
    )
