"""One model over one data set: predictions, metrics, and a page that shows them.

The folder holds `run.json` (model, data and settings: an unfinished run is resumed only if they are
the same), `predictions.jsonl` (a line per item, in the data's order, appended one by one),
`items.jsonl`, `metrics.md`, `report.html`, and `metrics.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from texlens.data.parquet import count_examples, read_examples
from texlens.errors import InputError
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.predictions import read_predictions
from texlens.metrics.report.files import MARKER, write_scoring
from texlens.metrics.report.page import scoring_page
from texlens.metrics.scoring import score_predictions
from texlens.reading import Reader
from texlens.reading.backends.remote import RemoteReader
from texlens.reading.pictures.opening import picture_for_browsers
from texlens.reading.sources import Item
from texlens.records import Example, Prediction, Reading
from texlens.runs import begin_or_resume, open_out_folder, progress, provenance

PREDICTIONS = "predictions.jsonl"
RUN = "run.json"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A Parquet file of examples, or its first `limit` rows."""

    path: Path
    limit: int | None = None

    def examples(self) -> Iterator[Example]:
        """The examples, in order. Raises InputError when the file is no table of examples."""
        return read_examples(self.path, self.limit)

    def count(self) -> int:
        """The number of examples. Raises InputError as `examples` does."""
        next(self.examples(), None)  # raises for a wrong file
        rows = count_examples(self.path)
        return rows if self.limit is None else min(rows, self.limit)

    def sha256(self) -> str:
        """A hash over every id, picture and reference, in order."""
        content = hashlib.sha256()
        for example in self.examples():
            for part in (example.id.encode(), example.image, example.latex_formula.encode()):
                content.update(len(part).to_bytes(8, "little"))
                content.update(part)
        return content.hexdigest()


def evaluate(
    reader: Reader | RemoteReader,
    data: DataSet,
    out: Path,
    config: ScoringConfig,
    *,
    workers: int = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Read every picture of a data set, score the readings, and write all of it into `out`.

    A picture that cannot be read counts as an empty prediction, with its error beside it. An
    interrupted run continues after the last prediction it wrote.

    Args:
        reader: the model that reads.
        data: the pictures and their references.
        out: the folder to write.
        config: the metrics to compute.
        workers: processes that share the scoring.
        force: replace a finished result.
        quiet: show no progress.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: the data cannot be read, or `out` holds another run or a finished result.
    """
    total = data.count()
    if total == 0:
        raise InputError(f"'{data.path}' holds no examples.")
    open_out_folder(out, marker=MARKER, force=force)
    description = _describe(reader, data)
    if force:
        (out / RUN).unlink(missing_ok=True)
    if not (out / RUN).exists():
        (out / PREDICTIONS).unlink(missing_ok=True)
    begin_or_resume(out / RUN, description)
    done = _written(out / PREDICTIONS)
    start = time.perf_counter()
    _predict(reader, data, out / PREDICTIONS, skip=len(done), total=total, quiet=quiet)
    seconds = time.perf_counter() - start
    predictions = _written(out / PREDICTIONS)
    scoring = score_predictions(predictions, config, workers=workers, quiet=quiet)
    read_now = len(predictions) - len(done)
    page = scoring_page(
        f"Evaluation of {reader.name} on {data.path.name}",
        scoring,
        pictures=(picture_for_browsers(example.image) for example in data.examples()),
        introduction=[f"{len(predictions)} pictures of {data.path.name}, read by {reader.name}."],
    )
    return write_scoring(
        out,
        scoring,
        page=page,
        run=description,
        speed={
            "pictures": read_now,
            "seconds": round(seconds, 2),
            "pictures_per_second": round(read_now / seconds, 2) if read_now else None,
        },
    )


def _describe(reader: Reader | RemoteReader, data: DataSet) -> dict[str, Any]:
    """Everything that the predictions of a run depend on."""
    return {
        "data": data.path.name,
        "limit": data.limit,
        "data_sha256": data.sha256(),
        "model": reader.name,
        "fingerprint": reader.fingerprint,
        "prompt_config": reader.prompt_config.model_dump(),
        "max_new_tokens": reader.max_new_tokens,
        "decoding": reader.decoding_settings,
        "versions": provenance("torch", "transformers", "peft", "pillow"),
    }


def _predict(
    reader: Reader | RemoteReader, data: DataSet, path: Path, *, skip: int, total: int, quiet: bool
) -> None:
    """Append a line to `path` for every example after the first `skip`."""
    references: dict[str, Example] = {}

    def items() -> Iterator[Item]:
        for example in islice(data.examples(), skip, None):
            if example.id in references:
                raise InputError(f"'{data.path}' holds the id '{example.id}' twice.")
            references[example.id] = replace(example, image=b"")
            yield Item(example.id, example.image)

    readings = reader.read_many(items())
    with path.open("ab") as stream:
        for reading in progress(readings, total=total - skip, unit="pictures", quiet=quiet):
            line = json.dumps(_line(references[reading.path], reading), ensure_ascii=False) + "\n"
            stream.write(line.encode("utf-8", errors="backslashreplace"))
            stream.flush()


def _line(example: Example, reading: Reading) -> dict[str, Any]:
    line = {
        "id": example.id,
        "gt": example.latex_formula,
        "pred": reading.latex,
        "confidence": round(reading.confidence, 6),
        "warnings": list(reading.warnings),
        "seconds": round(reading.seconds, 4),
        "kind": example.kind,
        "source": example.source,
    }
    return line if reading.error is None else {**line, "error": reading.error}


def _written(path: Path) -> Sequence[Prediction]:
    """The predictions written so far; an incomplete last line is removed from the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        os.truncate(path, len(whole))
    return read_predictions(path) if whole else []
