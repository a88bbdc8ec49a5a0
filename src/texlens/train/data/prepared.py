"""The data of a run: prepared once, kept in memory-mapped files, opened by path in every process.

The examples of each data file become an Arrow file in the user's cache, by a key of all that decides
its content: the file's hash and rows, prompt, processor, tokeniser. Later stages, other runs and
resumed ones find it there. No process holds the pictures in its own memory: the pages of the file are
shared by all processes of a machine, and the operating system drops them when it needs room.

    CACHE/prepared/KEY/examples.arrow   columns as `examples.Row`
    CACHE/prepared/KEY/part.json        what was left out; written last
    CACHE/prepared/hashes/              hashes of data files, by path, size and time of change
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock
from numpy.typing import NDArray

from texlens.errors import InputError
from texlens.metrics.cache import cache_folder
from texlens.model.load import Loaded
from texlens.model.prompt import Prompt, prompt_of
from texlens.records import Example
from texlens.runs import progress, read_json, write_json
from texlens.train.data.examples import ExamplePreparer, Row, count_rows, rows_of
from texlens.train.settings import DataFile
from texlens.workers import map_in_workers, usable_cpus

FORMAT = 1
"""Changes when rows are prepared in another way."""

_EXAMPLES, _PART = "examples.arrow", "part.json"
_ROWS_A_JOB = 250
_ROWS_A_WORKER = 2000  # fewer rows are prepared sooner than a process starts
_MOST_WORKERS = 16
_BYTES_A_BATCH = 64 << 20  # of pictures, in one record batch
_SCHEMA = pa.schema(
    {
        "id": pa.string(), "picture": pa.binary(), "latex": pa.string(),
        "answer": pa.list_(pa.int32()), "rows": pa.int32(), "columns": pa.int32(),
        "length": pa.int32(),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """The prepared examples of one data file, or of some of its rows.

    Attributes:
        key: a hash of all that decides the content.
        path: the Arrow file.
        record: `rows` (of the data file), `kept`, `left_out` (by reason), `sha256` (over pictures and
            LaTeX as they are in the data file).
    """

    key: str
    path: Path
    record: dict[str, Any]


@dataclass(slots=True)
class FineTuningData:
    """The examples of a recipe, and what was left out of its files.

    Attributes:
        table: a `datasets.Dataset` over the memory-mapped files, with the columns of `examples.Row` and
            `file`, the index of the example's file in the recipe.
        lengths: the column `length` (examples).
        files: the column `file` (examples).
        prompt: the token ids of the prompt.
        record: the content of `dataset.json`.
    """

    table: Any
    lengths: NDArray[np.int32]
    files: NDArray[np.int32]
    prompt: Prompt
    record: dict[str, Any]

    def select(self, kept: NDArray[np.bool_]) -> FineTuningData:
        """The examples at these places alone (examples)."""
        if kept.all():
            return self
        places = np.flatnonzero(kept)
        table = self.table.select(places)
        return replace(self, table=table, lengths=self.lengths[places], files=self.files[places])


def prepare_examples(
    files: Sequence[DataFile],
    loaded: Loaded,
    *,
    max_length: int,
    unlabelled: bool = False,
    quiet: bool = False,
) -> FineTuningData:
    """Prepare the files of a recipe for a model, or find them prepared.

    Args:
        files: the files.
        loaded: the processor and the prompt configuration; the model itself is not used.
        max_length: the longest sequence in tokens: prompt, visual tokens, answer and its end. Longer
            ones are left out and counted.
        unlabelled: keep rows without LaTeX.
        quiet: show no progress.

    Raises:
        InputError: a file cannot be read, or no example of one can be used.
    """
    from datasets import Dataset, concatenate_datasets

    parts = [prepare_file(file, loaded, unlabelled=unlabelled, quiet=quiet) for file in files]
    tables = []
    for number, part in enumerate(parts):
        table = Dataset.from_file(str(part.path))
        tables.append(table.add_column("file", np.full(len(table), number, dtype=np.int32)))
    lengths = [column(table, "length") for table in tables]
    records = []
    for file, part, of_file in zip(files, parts, lengths, strict=True):
        too_long = int((of_file > max_length).sum())
        left_out = part.record["left_out"] | ({"too long": too_long} if too_long else {})
        kept = len(of_file) - too_long
        if not kept:
            raise InputError(f"No example of '{file.parquet}' is left to train on ({left_out}).")
        record = {"parquet": str(file.parquet), "rows": part.record["rows"], "kept": kept}
        records.append(record | {"left_out": left_out, "sha256": part.record["sha256"]})
    whole = np.concatenate(lengths)
    short = np.sort(whole[whole <= max_length])
    data = FineTuningData(
        table=concatenate_datasets(tables) if len(tables) > 1 else tables[0],
        lengths=whole,
        files=np.concatenate([column(table, "file") for table in tables]),
        prompt=prompt_of(loaded.processor, loaded.prompt_config),
        record={
            "files": records,
            "examples": len(short),
            "left_out": dict(sum((Counter(r["left_out"]) for r in records), Counter[str]())),
            "tokens": {
                "median": int(short[len(short) // 2]),
                "longest": int(short[-1]),
                "max_length": max_length,
            },
            "sha256": _digest(r["sha256"] for r in records),
        },
    )
    return data.select(whole <= max_length)


def column(table: Any, name: str) -> NDArray[np.int32]:
    """A column of numbers of a table, without its pictures."""
    values: NDArray[np.int32] = table.with_format("numpy", columns=[name])[:][name]
    return values


def prepare_file(
    file: DataFile, loaded: Loaded, *, unlabelled: bool = False, quiet: bool = False
) -> Part:
    """The part of a data file, prepared now if it is not in the cache.

    Raises InputError when the file cannot be read.
    """
    count_rows(file.parquet, file.rows)  # raises if the file is not as it must be
    key = _key(file, loaded, unlabelled)
    folder = cache_folder() / "prepared" / key
    if not (folder / _PART).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (folder / _PART).is_file():
                _write_part(file, loaded, folder, unlabelled, quiet=quiet)
    return Part(key, folder / _EXAMPLES, read_json(folder / _PART))


def _write_part(
    file: DataFile, loaded: Loaded, folder: Path, unlabelled: bool, *, quiet: bool
) -> None:
    """Prepare a data file; `part.json` is written last, so a killed run leaves nothing that counts."""
    count = count_rows(file.parquet, file.rows)
    workers = min(usable_cpus(), _MOST_WORKERS, count // _ROWS_A_WORKER)
    digest, left_out, kept = hashlib.sha256(), Counter[str](), 0
    examples = _digested(rows_of(file.parquet, file.rows), digest)
    bare = replace(loaded, model=None, folder=None)
    make = partial(ExamplePreparer, bare, unlabelled=unlabelled)
    prepared = map_in_workers(make, _chunks(examples), workers)
    rows = (row for chunk in prepared for row in chunk)
    with pa.OSFile(str(folder / _EXAMPLES), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as out:
        batch: list[Row] = []
        size = 0
        for row in progress(rows, total=count, unit="pictures prepared", quiet=quiet):
            if isinstance(row, str):
                left_out[row] += 1
                continue
            kept += 1
            size += len(row["picture"])
            batch.append(row)
            if len(batch) == _ROWS_A_JOB or size > _BYTES_A_BATCH:
                out.write_batch(pa.RecordBatch.from_pylist(batch, schema=_SCHEMA))
                batch, size = [], 0
        out.write_batch(pa.RecordBatch.from_pylist(batch, schema=_SCHEMA))
    record = {"rows": count, "kept": kept, "left_out": dict(left_out)}
    write_json(folder / _PART, record | {"sha256": digest.hexdigest()})


def _digested(examples: Iterable[Example], digest: Any) -> Iterator[Example]:
    """The examples, each added to a hash."""
    for example in examples:
        digest.update(example.image + b"\0" + example.latex_formula.encode() + b"\0")
        yield example


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, _ROWS_A_JOB)):
        yield chunk


def _key(file: DataFile, loaded: Loaded, unlabelled: bool) -> str:
    """A hash of all that decides the prepared examples of a data file."""
    processor = loaded.processor
    words = ("system", "instruction", "answer_format", "min_pixels", "max_pixels", "pixels_per_em")
    document = {
        "format": FORMAT,
        "file": file_hash(file.parquet),
        "rows": file.rows,
        "prompt": loaded.prompt_config.model_dump(include=set(words)),
        "pictures": processor.image_processor.to_dict(),
        "tokenizer": _digest([processor.tokenizer.backend_tokenizer.to_str()]),
        "chat_template": processor.chat_template,
    }
    if unlabelled:
        document["unlabelled"] = True
    return _digest([json.dumps(document, sort_keys=True, default=str)])[:32]


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, remembered by its path, size and time of change."""
    status = path.stat()
    identity = [str(path.resolve()), status.st_size, status.st_mtime_ns]
    known = cache_folder() / "prepared" / "hashes" / f"{_digest([json.dumps(identity)])[:32]}.json"
    if known.is_file():
        return str(read_json(known)["sha256"])
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    write_json(known, {"file": identity, "sha256": found})
    return found


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
