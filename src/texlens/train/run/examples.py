"""Pictures with their LaTeX, ready for fine-tuning: framed, normalised, measured, counted.

Examples that cannot be used are left out and counted by reason; nothing is truncated. The pictures
are framed as `Reader` frames them for the same model, so that training and reading see the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from texlens.data.formats import answer_text
from texlens.data.parquet import count_examples, read_examples
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.latex import normalize
from texlens.model.load import Loaded
from texlens.model.prompt import Prompt, prompt_of
from texlens.model.prompt_config import PromptConfig
from texlens.model.tokenizer import IM_END, TextEncoder
from texlens.reading.pictures.framing import NoInk, frame_for, frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.records import Example
from texlens.runs import progress
from texlens.train.run.config import Rows
from texlens.train.run.settings import DataFile, DevSet


@dataclass(slots=True)
class FineTuningData:
    """The examples of a recipe as a `datasets.Dataset`, and what was left out of its files.

    Columns of `table`: `id`, `picture` (a picture file), `latex` (normal form), `answer` (token
    ids with the end token), `rows` and `columns` (of visual tokens), `length` (tokens of the whole
    sequence), `file` (the index of its file in the recipe).
    """

    table: Any
    prompt: Prompt
    record: dict[str, Any]


class _Unusable(Exception):
    """An example cannot be trained on; its text is the reason."""


def prepare_examples(
    files: Sequence[DataFile],
    loaded: Loaded,
    *,
    max_length: int,
    quiet: bool = False,
    read: Callable[[DataFile], Iterable[Example]] | None = None,
) -> FineTuningData:
    """Read the files of a recipe for a model.

    Args:
        files: the files.
        loaded: the processor and the prompt configuration; the model itself is not used.
        max_length: the longest sequence in tokens: prompt, visual tokens, answer and its end.
        quiet: show no progress.
        read: which examples to take of a file; None: all of its rows.

    Raises:
        InputError: a file cannot be read, or no example of one can be used.
    """
    from datasets import Dataset

    prompt = prompt_of(loaded.processor, loaded.prompt_config)
    encoder = TextEncoder(loaded.processor.tokenizer)
    kept: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    digest, records = hashlib.sha256(), []
    for place, file in enumerate(files):
        count_before, left_out_before = len(kept), left_out.copy()
        rows = count_rows(file.parquet, file.rows)
        examples = read(file) if read else rows_of(file.parquet, file.rows)
        for example in progress(examples, total=rows, unit="pictures prepared", quiet=quiet):
            digest.update(example.image + b"\0" + example.latex_formula.encode() + b"\0")
            try:
                kept.append(
                    _prepared(example, loaded, encoder, prompt, max_length) | {"file": place}
                )
            except _Unusable as reason:
                left_out[str(reason)] += 1
        record = {
            "parquet": str(file.parquet),
            "rows": rows,
            "kept": len(kept) - count_before,
            "left_out": dict(left_out - left_out_before),
        }
        if not record["kept"]:
            raise InputError(
                f"No example of '{file.parquet}' is left to train on ({record['left_out']})."
            )
        records.append(record)
    lengths = sorted(row["length"] for row in kept)
    record = {
        "files": records,
        "examples": len(lengths),
        "left_out": dict(left_out),
        "tokens": {
            "median": lengths[len(lengths) // 2],
            "longest": lengths[-1],
            "max_length": max_length,
        },
        "sha256": digest.hexdigest(),
    }
    return FineTuningData(Dataset.from_list(kept), prompt, record)


def _prepared(
    example: Example, loaded: Loaded, encoder: TextEncoder, prompt: Prompt, max_length: int
) -> dict[str, Any]:
    """The row of an example. Raises _Unusable."""
    prompt_config, processor = loaded.prompt_config, loaded.processor
    latex = " ".join(normalize(example.latex_formula).split())
    if not latex:
        raise _Unusable("no formula")
    try:
        picture, size = _picture(example.image, loaded)
    except InputError as error:
        raise _Unusable("no picture") from error
    except NoInk as error:
        raise _Unusable("no ink") from error
    rows, columns = visual_tokens(size, prompt_config, processor.image_processor)
    answer = encoder.encode([answer_text(prompt_config, latex)])[0]
    answer.append(processor.tokenizer.convert_tokens_to_ids(IM_END))
    length = prompt.length + rows * columns + len(answer)
    if length > max_length:
        raise _Unusable("too long")
    return {
        "id": example.id, "picture": picture, "latex": latex, "answer": answer, "rows": rows,
        "columns": columns, "length": length,
    }  # fmt: skip


def rows_of(path: Path, rows: Rows | None) -> Iterator[Example]:
    """The examples of a half-open range of a Parquet file's rows, in order; as `count_rows`."""
    count_rows(path, rows)
    start, stop = rows or (0, None)
    yield from islice(read_examples(path, stop), start, None)


def count_rows(path: Path, rows: Rows | None) -> int:
    """How many rows of a Parquet file lie in a range. Raises InputError when none does."""
    next(read_examples(path, 1), None)  # raises if the file is not as it must be
    total = count_examples(path)
    start, stop = rows or (0, total)
    if (count := min(stop, total) - start) <= 0:
        raise InputError(f"'{path}' has {total} rows: none of {start} to {stop}.")
    return count


def dev_examples(dev: DevSet) -> list[Example]:
    """The examples of a dev set: the same ones every time."""
    count = count_rows(dev.parquet, dev.rows)
    sample = min(dev.sample or count, count)
    chosen = {i * count // sample for i in range(sample)}
    return [e for place, e in enumerate(rows_of(dev.parquet, dev.rows)) if place in chosen]


def visual_tokens(
    size: tuple[int, int], prompt_config: PromptConfig, image_processor: Any
) -> tuple[int, int]:
    """Rows and columns of visual tokens of a picture of this width and height in pixels.

    The image processor's own rule of scaling, within the prompt configuration's limits.
    """
    width, height = size
    side = image_processor.patch_size * image_processor.merge_size
    high, wide = smart_resize(
        height,
        width,
        factor=side,
        min_pixels=prompt_config.min_pixels,
        max_pixels=prompt_config.max_pixels,
    )
    return high // side, wide // side


def _picture(content: bytes, loaded: Loaded) -> tuple[bytes, tuple[int, int]]:
    """A picture file as the model is to see it, and its width and height."""
    image = open_picture(content)
    frame = frame_for(loaded.prompt_config, loaded.processor.image_processor)
    if frame is None:
        return content, image.size
    framed: Image.Image = frame_picture(image, frame)
    return encode_png(framed, compress_level=1), framed.size
