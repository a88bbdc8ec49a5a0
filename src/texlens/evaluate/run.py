"""One recogniser over one data set: predictions, metrics, and a page that shows them.

An evaluation is reading, and then scoring as `texlens score` does it.

The folder holds `run.json` (model, data and settings: an unfinished run is resumed only if they are
the same), `predictions.jsonl` (a line per item, in the data's order, appended one by one),
`items.jsonl`, `metrics.md`, `report.html`, and `metrics.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from texlens.addresses import find_files, place
from texlens.errors import InputError, TexlensError, require_extra
from texlens.evaluate.growing import GrowingFile
from texlens.evaluate.recognisers import (
    ModelReader,
    Recognised,
    Recogniser,
    name_of,
    recognise,
)
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.predictions import PREDICTIONS, prediction_record, read_predictions
from texlens.metrics.registry import KEYS
from texlens.metrics.report.files import MARKER, write_scoring
from texlens.metrics.report.page import scoring_page
from texlens.metrics.scoring import MAX_FAULT_SHARE, score_predictions
from texlens.reading.pictures.opening import picture_for_browsers
from texlens.reading.sources import Item
from texlens.records import Example, Prediction, Reading
from texlens.runs import begin_or_resume, hold_folder, open_out_folder, progress, provenance
from texlens.workers import Workers

RUN = "run.json"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A Parquet file of examples, or a folder or pattern of its shards; or the first `limit` rows."""

    path: Path
    limit: int | None = None

    def files(self) -> list[Path]:
        """The file, or its shards in order. Raises InputError where there is none, or no pyarrow."""
        require_extra("Reading a data set", "data", "pyarrow")
        return find_files([str(self.path)], (".parquet",))

    def examples(self) -> Iterator[Example]:
        """The examples, in order. Raises InputError when the file is no table of examples."""
        files = self.files()
        from texlens.data.parquet import (
            read_examples,
        )  # comparing files of predictions does without

        examples = chain.from_iterable(map(read_examples, files))
        return islice(examples, self.limit)

    def pictures(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The encoded pictures of some examples, by id."""
        wanted = set(ids)
        return {example.id: example.image for example in self.examples() if example.id in wanted}

    def count(self) -> int:
        """The number of examples. Raises InputError as `examples` does."""
        next(self.examples(), None)  # raises for a wrong file
        from texlens.data.parquet import count_examples

        rows = sum(map(count_examples, self.files()))
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
    recogniser: Recogniser | ModelReader,
    data: DataSet | Path | str,
    out: Path | str,
    config: ScoringConfig | None = None,
    *,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Read every picture of a data set, score the predictions, and write all of it into `out`.

    A picture that cannot be read counts as an empty prediction, with its error beside it. An
    interrupted run continues after the last prediction it wrote.

    Args:
        recogniser: what reads: a `texlens.Reader`, or any other `Recogniser`.
        data: the pictures and their references: a Parquet file, or a part of one.
        out: the folder to write.
        config: the metrics to compute, by default all.
        workers: processes that share the scoring.
        force: replace a finished result.
        quiet: show no progress.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: the data cannot be read, or `out` holds another run or a finished result.
        TexlensError: everything was written, and too many items have faults of TexLens.
    """
    data = data if isinstance(data, DataSet) else DataSet(place(data))
    out, config = place(out), config or ScoringConfig(KEYS)
    total = data.count()
    if total == 0:
        raise InputError(f"'{data.path}' holds no examples.")
    hold_folder(open_out_folder(out, marker=MARKER, force=force))
    description = _describe(recogniser, data)
    if force:
        (out / RUN).unlink(missing_ok=True)
    lines = GrowingFile(out / PREDICTIONS)
    if not (out / RUN).exists():
        lines.remove()
    begin_or_resume(out / RUN, description)
    done = lines.content().count(b"\n")
    start = time.perf_counter()
    _predict(recogniser, data, lines, skip=done, total=total, quiet=quiet)
    seconds = time.perf_counter() - start
    lines.finish()
    predictions = read_predictions(out / PREDICTIONS)
    scoring = score_predictions(predictions, config, workers=workers, quiet=quiet)
    read_now = len(predictions) - done
    name = name_of(recogniser)
    introduction = f"{len(predictions)} pictures of {data.path.name}, read by {name}."
    if failed := sum("error" in prediction.extra for prediction in predictions):
        introduction += f" {failed} of them could not be read, and count as empty predictions."
    page = scoring_page(
        f"Evaluation of {name} on {data.path.name}",
        scoring,
        pictures=partial(pictures_for_browsers, data),
        introduction=[introduction],
    )
    document = write_scoring(
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
    scoring.check_faults()
    _check_faults(predictions)
    return document


def _check_faults(predictions: Sequence[Prediction]) -> None:
    """Raise TexlensError where TexLens failed on more than 1 picture in 1,000."""
    faults = sum("fault" in prediction.extra.get("warnings", ()) for prediction in predictions)
    if faults > MAX_FAULT_SHARE * len(predictions):
        raise TexlensError(
            f"{faults} of {len(predictions)} pictures have no reading because of faults of TexLens, more "
            f"than 1 in 1,000; please report the first 'error' in {PREDICTIONS}."
        )


def pictures_for_browsers(data: DataSet, ids: Iterable[str]) -> Mapping[str, bytes | None]:
    """Some pictures of a data set as a page shows them, by id; None for a broken one."""
    return {id_: picture_for_browsers(image) for id_, image in data.pictures(ids).items()}


def _describe(recogniser: Recogniser | ModelReader, data: DataSet) -> dict[str, Any]:
    """Everything that the predictions of a run depend on, as far as it is known."""
    description: dict[str, Any] = {
        "data": data.path.name,
        "limit": data.limit,
        "data_sha256": data.sha256(),
        "model": name_of(recogniser),
        "versions": provenance("torch", "transformers", "peft", "pillow"),
    }
    if isinstance(recogniser, ModelReader):
        description |= {
            "fingerprint": recogniser.fingerprint,
            "prompt_config": recogniser.prompt_config.model_dump(),
            "max_new_tokens": recogniser.max_new_tokens,
            "decoding": recogniser.decoding_settings,
        }
    return description


def _predict(
    recogniser: Recogniser | ModelReader,
    data: DataSet,
    lines: GrowingFile,
    *,
    skip: int,
    total: int,
    quiet: bool,
) -> None:
    """Append a line for every example after the first `skip`."""
    references: dict[str, Example] = {}

    def items() -> Iterator[Item]:
        for example in islice(data.examples(), skip, None):
            if example.id in references:
                raise InputError(f"'{data.path}' holds the id '{example.id}' twice.")
            references[example.id] = replace(example, image=b"")
            yield Item(example.id, example.image)

    found = recognise(recogniser, items())
    with lines.appending() as append:
        for one in progress(found, total=total - skip, unit="pictures", quiet=quiet):
            record = prediction_record(_prediction(references[one.id], one))
            line = json.dumps(record, ensure_ascii=False) + "\n"
            append(line.encode("utf-8", errors="backslashreplace"))


def _prediction(example: Example, recognised: Recognised) -> Prediction:
    latex, extra = recognised.prediction, dict[str, Any]()
    if isinstance(latex, Reading):
        extra = {
            "confidence": round(latex.confidence, 6),
            "warnings": list(latex.warnings),
            "seconds": round(latex.seconds, 4),
        }
        latex = latex.normal or latex.latex
    extra |= {"kind": example.kind, "source": example.source}
    if recognised.error is not None:
        extra["error"] = recognised.error
    return Prediction(example.id, example.latex_formula, latex, extra)
