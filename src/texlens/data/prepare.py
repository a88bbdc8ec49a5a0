"""From a corpus to a data set: clean in parallel, split once, write in order.

A run's folder while it works:

    .work/settings.json      the settings; a run is resumed with the same settings only
    .work/chunk-000012-8f1c2a9d.parquet   the outcome of items 12 x 200 to 13 x 200 - 1

A chunk is written atomically and named by its number and a digest of its locators, so that the
chunks of a corpus whose list of items changed in between are not used. Chunks do not depend on one
another nor on the number of workers, so a run that was killed resumes from the chunks that exist,
and ends with the same bytes as one that was not. `dataset.json` is written last: a folder that has
it is finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from texlens.data.clean import Limits, clean_chunk
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.formats import write_format
from texlens.data.items import FORMATS, SPLITS, CleanItem, Drop, Format, Sizes
from texlens.data.parquet import write_examples
from texlens.data.split import Key, assign, formula_key
from texlens.errors import InputError, TexlensError
from texlens.records import Example
from texlens.render.pdflatex import require_tex
from texlens.runs import (
    atomic_write,
    begin_or_resume,
    open_out_folder,
    progress,
    provenance,
    write_json,
    write_json_lines,
)
from texlens.workers import map_in_workers

_ITEMS_A_CHUNK = 200
MARKER = "dataset.json"
_SETTINGS = "settings.json"

_Job = tuple[Path, list[Locator | Drop]]  # a chunk's file, and where its items are

_TEXTS = ("id", "step", "reason", "latex_formula", "kind", "source", "split", "picture_hash")
_CHUNK_SCHEMA = pa.schema(
    dict.fromkeys(_TEXTS, pa.string()) | {"verified": pa.bool_(), "image": pa.binary()}
)


@dataclass(frozen=True)
class Preparation:
    """All that decides the bytes of a data set, apart from the files of the corpus."""

    corpus: Corpus
    sizes: Sizes | None
    seed: int
    limits: Limits
    formats: tuple[Format, ...] = ()
    prompt: str = "plain"

    def as_json(self) -> dict[str, Any]:
        """The settings as recorded in `dataset.json`, without the paths of this machine."""
        return {
            "source": self.corpus.name,
            "sizes": dict(zip(SPLITS, self.sizes, strict=True)) if self.sizes else None,
            "seed": self.seed,
            "limits": self.limits.model_dump(),
            "formats": list(self.formats),
            "prompt": self.prompt,
        }


def prepare(
    preparation: Preparation,
    out: Path,
    *,
    workers: int = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make the data set in `out` and return the content of its `dataset.json`.

    Raises InputError when the corpus or the folder cannot be used, TexlensError when the work ends
    early (a full disk, a killed worker); what is done by then is kept, and the same call resumes.
    """
    open_out_folder(out, marker=MARKER, force=force)
    work = out / ".work"
    if force:
        shutil.rmtree(work, ignore_errors=True)
    if preparation.limits.tex:
        require_tex()
    try:
        detail = {"detail": repr(preparation.corpus), "versions": provenance("pyarrow")}
        begin_or_resume(work / _SETTINGS, preparation.as_json() | detail)
        chunks = _clean(preparation.corpus, preparation.limits, work, workers, quiet)
        document = _finish(preparation, out, chunks)
    except InputError:
        _leave_as_it_was(out, work)
        raise
    except OSError as error:
        where = error.filename or out
        raise TexlensError(
            f"Cannot write to '{where}': {error.strerror}. Run the same command to resume."
        ) from error
    shutil.rmtree(work, ignore_errors=True)
    return document


def _leave_as_it_was(out: Path, work: Path) -> None:
    """Remove the folders of a run that a wrong input ended before its first chunk."""
    if not any(work.glob("chunk-*")):
        (work / _SETTINGS).unlink(missing_ok=True)
        for folder in (work, out):
            with contextlib.suppress(OSError):  # not empty: it holds files of others
                folder.rmdir()


def _clean(corpus: Corpus, limits: Limits, work: Path, workers: int, quiet: bool) -> list[Path]:
    """Clean every chunk that does not exist yet; the chunk files in order."""
    jobs = progress(_chunk_jobs(corpus, work), total=None, unit="chunks", quiet=quiet)
    return list(map_in_workers(partial(_cleaner, corpus, limits), jobs, workers))


def _chunk_jobs(corpus: Corpus, work: Path) -> Iterator[_Job]:
    locators = iter(corpus.locators())
    number = 0
    while chunk := list(itertools.islice(locators, _ITEMS_A_CHUNK)):
        digest = hashlib.blake2b(repr(chunk).encode(errors="surrogatepass"), digest_size=4)
        yield work / f"chunk-{number:06d}-{digest.hexdigest()}.parquet", chunk
        number += 1


def _cleaner(corpus: Corpus, limits: Limits) -> Callable[[_Job], Path]:
    return partial(_clean_one, corpus, limits)


def _clean_one(corpus: Corpus, limits: Limits, job: _Job) -> Path:
    path, locators = job
    if path.exists():
        return path
    loaded = corpus.load([r for r in locators if not isinstance(r, Drop)])
    items = [r if isinstance(r, Drop) else next(loaded) for r in locators]
    rows = [_as_row(outcome) for outcome in clean_chunk(items, limits)]
    with atomic_write(path) as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=_CHUNK_SCHEMA), stream, compression="zstd")
    return path


def _as_row(outcome: CleanItem | Drop) -> dict[str, Any]:
    row = asdict(outcome)
    for key in {"id", "reason"} & row.keys():
        # A lone surrogate cannot be stored as UTF-8; a text with one is kept readable.
        row[key] = row[key].encode(errors="backslashreplace").decode()
    return row


def _finish(preparation: Preparation, out: Path, chunks: list[Path]) -> dict[str, Any]:
    """Split the clean items, and write the splits and `dataset.json`, whose content is returned."""
    names: list[str] = []
    keys: list[Key] = []
    drops: list[dict[str, str]] = []
    verified: Counter[bool | None] = Counter()
    for row in _rows(chunks, [*_TEXTS, "verified"]):
        if row["step"] is not None:
            drops.append({"id": row["id"], "step": row["step"], "reason": row["reason"]})
            continue
        names.append(row["id"])
        verified[row["verified"]] += 1
        keys.append(
            Key(
                formula_key(row["latex_formula"]),
                bytes.fromhex(row["picture_hash"]),
                sys.intern(row["source"]),
                row["split"],
            )
        )
    splits = assign(keys, preparation.sizes, preparation.seed)
    del keys  # only the outcome is needed while the pictures pass through
    for name, split in zip(names, splits, strict=True):
        if isinstance(split, tuple):
            drops.append({"id": name, "step": split[0], "reason": split[1]})
    for part in out.glob(".*.part"):
        part.unlink()  # of a run that was killed while it wrote
    unique = _unique(names)
    counts = {}
    for wanted in SPLITS:
        path = out / f"{wanted}.parquet"
        path.unlink(missing_ok=True)
        if wanted in splits:
            rows = (row for row in _rows(chunks, _CHUNK_SCHEMA.names) if row["step"] is None)
            counts[wanted] = write_examples(
                path,
                (
                    Example(name, row["image"], row["latex_formula"], row["source"], row["kind"])
                    for row, name, split in zip(rows, unique, splits, strict=True)
                    if split == wanted
                ),
            )
    for form in FORMATS:
        shutil.rmtree(out / form, ignore_errors=True)  # of an earlier run with other settings
    for form in preparation.formats:
        for name in counts:
            write_format(out, name, form, preparation.prompt)
    write_json_lines(out / "dropped.jsonl", drops)
    document = {
        **preparation.as_json(),
        "counts": counts,
        "dropped": _summary(drops),
        "verified_by_picture": verified[True],
        "not_comparable": verified[None],
        "ids_made_unique": sum(times > 1 for times in Counter(names).values()),
        "versions": provenance("pyarrow", "mini-racer", "pillow", "numpy"),
        "content_hash": _content_hash([out / f"{name}.parquet" for name in counts]),
    }
    write_json(out / MARKER, document)
    return document


def _rows(chunks: list[Path], columns: list[str]) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        yield from pq.read_table(chunk, columns=columns).to_pylist()


def _unique(names: list[str]) -> list[str]:
    """The ids, those that come more than once with a number: `name#1`, `name#2`."""
    times = Counter(names)
    repeated = {name for name, n in times.items() if n > 1}
    mark = "#"
    while any(f"{name}{mark}{n + 1}" in times for name in repeated for n in range(times[name])):
        mark += "#"  # a numbered id must not be one that exists
    count = {name: itertools.count(1) for name in repeated}
    return [f"{name}{mark}{next(count[name])}" if name in repeated else name for name in names]


def _summary(drops: list[dict[str, str]]) -> dict[str, dict[str, int]]:
    """Step -> reason -> how many, reasons without what follows a colon or bracket."""
    summary: dict[str, Counter[str]] = {}
    for drop in drops:
        reason = drop["reason"].split(":")[0].split(" (")[0]
        summary.setdefault(drop["step"], Counter())[reason] += 1
    return {step: dict(sorted(reasons.items())) for step, reasons in sorted(summary.items())}


def _content_hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
