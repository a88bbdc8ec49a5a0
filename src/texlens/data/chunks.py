"""Chunks of cleaned items: cleaned by workers, kept for a run that resumes, read again."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from texlens.data.clean import Limits, clean_chunk
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.items import CleanItem, Drop
from texlens.data.parquet import open_parquet
from texlens.runs import atomic_write, progress
from texlens.workers import WorkerFault, Workers

ITEMS_A_CHUNK = 200

_CHUNK_SECONDS = 3600  # TeX, asked about every formula of a chunk, may be slow

TEXTS = ("id", "step", "reason", "latex_formula", "kind", "source", "split", "picture_hash")
_SCHEMA = pa.schema(
    dict.fromkeys(TEXTS, pa.string()) | {"verified": pa.bool_(), "image": pa.binary()}
)


@dataclass
class Chunks:
    """The cleaned items of a corpus, in chunks under `folder`.

    `rounds` has what was cleaned so far, a list at a time: the numbers of the items, ascending, and
    the files with their outcomes, in the same order.
    """

    corpus: Corpus
    limits: Limits
    folder: Path
    locators: Sequence[Locator]
    rounds: list[tuple[Sequence[int], list[Path]]] = field(default_factory=list)

    def clean(self, numbers: Sequence[int], workers: Workers, quiet: bool) -> None:
        """Clean the items of these numbers, ascending, except the chunks that exist already."""
        parts = [numbers[n : n + ITEMS_A_CHUNK] for n in range(0, len(numbers), ITEMS_A_CHUNK)]
        jobs = [self._job(part) for part in parts]
        missing = [(file, locators) for file, locators in jobs if not file.exists()]
        cleaned = workers.map_batches(
            partial(_cleaner, self.corpus, self.limits),
            (locators for _, locators in missing),
            seconds=_CHUNK_SECONDS,
        )
        shown = progress(cleaned, total=len(missing), unit="chunks", quiet=quiet)
        for (file, locators), rows in zip(missing, shown, strict=True):
            _write(file, [_row(*one) for one in zip(locators, rows, strict=True)])
        self.rounds.append((numbers, [file for file, _ in jobs]))

    def _job(self, numbers: Sequence[int]) -> tuple[Path, list[Locator]]:
        """The file of a chunk, and its items."""
        locators = [self.locators[number] for number in numbers]
        digest = hashlib.blake2b(repr(locators).encode(errors="surrogatepass"), digest_size=4)
        return self.folder / f"chunk-{numbers[0]:07d}-{digest.hexdigest()}.parquet", locators

    def rows(self, *columns: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every item that was cleaned, by its number, with these columns; all without a name."""
        return heapq.merge(
            *(_numbered(*one, list(columns or _SCHEMA.names)) for one in self.rounds),
            key=lambda row: row[0],
        )


def _numbered(
    numbers: Sequence[int], files: list[Path], columns: list[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    tables = (open_parquet(file).read(columns=columns).to_pylist() for file in files)
    return zip(numbers, itertools.chain.from_iterable(tables), strict=True)


def _cleaner(corpus: Corpus, limits: Limits) -> Callable[[Sequence[Locator]], list[dict[str, Any]]]:
    return partial(_clean, corpus, limits)


def _clean(corpus: Corpus, limits: Limits, locators: Sequence[Locator]) -> list[dict[str, Any]]:
    return [_as_row(outcome) for outcome in clean_chunk(list(corpus.load(locators)), limits)]


def _row(locator: Locator, found: dict[str, Any] | WorkerFault) -> dict[str, Any]:
    """The row of an item; one that ended its worker is dropped."""
    if isinstance(found, WorkerFault):
        return _as_row(Drop(locator.id, "fault", f"the item {found}"))
    return found


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with atomic_write(path) as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), stream, compression="zstd")


def _as_row(outcome: CleanItem | Drop) -> dict[str, Any]:
    return asdict(outcome) | storable(outcome)


def storable(outcome: CleanItem | Drop) -> dict[str, str]:
    """The texts of an outcome that may have a lone surrogate, which UTF-8 cannot store."""
    texts = {"id": outcome.id} | ({"reason": outcome.reason} if isinstance(outcome, Drop) else {})
    return {name: text.encode(errors="backslashreplace").decode() for name, text in texts.items()}
