"""Chunks of cleaned items: written by worker processes, kept for a run that resumes, read again."""

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
from texlens.runs import atomic_write, progress
from texlens.workers import WorkerFault, map_in_workers, run_each

ITEMS_A_CHUNK = 200

_Job = tuple[Path, list[Locator]]  # a chunk's file, and its items

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

    def clean(self, numbers: Sequence[int], workers: int, quiet: bool) -> None:
        """Clean the items of these numbers, ascending, except the chunks that exist already."""
        parts = [numbers[n : n + ITEMS_A_CHUNK] for n in range(0, len(numbers), ITEMS_A_CHUNK)]
        jobs = progress(map(self._job, parts), total=len(parts), unit="chunks", quiet=quiet)
        make = partial(_cleaner, self.corpus, self.limits)
        singly = partial(_clean_singly, self.corpus, self.limits)
        files = map_in_workers(make, jobs, workers, instead=singly)
        self.rounds.append((numbers, list(files)))

    def _job(self, numbers: Sequence[int]) -> _Job:
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
    tables = (pq.read_table(file, columns=columns).to_pylist() for file in files)
    return zip(numbers, itertools.chain.from_iterable(tables), strict=True)


def _cleaner(corpus: Corpus, limits: Limits) -> Callable[[_Job], Path]:
    return partial(_clean_one, corpus, limits)


def _clean_one(corpus: Corpus, limits: Limits, job: _Job) -> Path:
    path, locators = job
    return path if path.exists() else _write(path, _clean(corpus, limits, locators))


def _clean(corpus: Corpus, limits: Limits, locators: Sequence[Locator]) -> list[dict[str, Any]]:
    return [_as_row(outcome) for outcome in clean_chunk(list(corpus.load(locators)), limits)]


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with atomic_write(path) as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), stream, compression="zstd")
    return path


def _clean_singly(corpus: Corpus, limits: Limits, job: _Job) -> Path:
    """Clean a chunk that ended its worker, each item alone; the guilty one is dropped."""
    path, locators = job
    rows: list[dict[str, Any]] = []
    for locator in locators:
        (row,) = run_each(partial(_row_cleaner, corpus, limits), [locator])
        if isinstance(row, WorkerFault):
            row = _as_row(Drop(locator.id, "fault", f"the item {row}"))
        rows.append(row)
    return _write(path, rows)


def _row_cleaner(
    corpus: Corpus, limits: Limits
) -> Callable[[Sequence[Locator]], list[dict[str, Any]]]:
    return partial(_clean, corpus, limits)


def _as_row(outcome: CleanItem | Drop) -> dict[str, Any]:
    return asdict(outcome) | storable(outcome)


def storable(outcome: CleanItem | Drop) -> dict[str, str]:
    """The texts of an outcome that may have a lone surrogate, which UTF-8 cannot store."""
    texts = {"id": outcome.id} | ({"reason": outcome.reason} if isinstance(outcome, Drop) else {})
    return {name: text.encode(errors="backslashreplace").decode() for name, text in texts.items()}
