"""Pictures with their LaTeX, ready for fine-tuning: framed, normalised, measured, counted.

What cannot be learnt from is left out and counted by its reason; nothing is cut. The pictures are
brought to what `Reader` would hand the same model, so that training and reading see alike.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
    ids up to the end token), `rows` and `columns` (of visual tokens), `length` (tokens of the whole
    sequence), `file` (the place of its file in the recipe).
    """

    table: Any
    prompt: Prompt
    record: dict[str, Any]


@dataclass(slots=True)
class _Kept:
    """The columns of the examples that are kept, and why the others are not."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)


def prepare_examples(
    files: Sequence[DataFile], loaded: Loaded, *, cutoff: int, quiet: bool = False
) -> FineTuningData:
    """Read the files of a recipe for a model.

    `cutoff` is the longest sequence in tokens: prompt, visual tokens, answer and its end.

    Raises InputError when a file cannot be read, or no example of one is left.
    """
    from datasets import Dataset

    prompt_config, processor = loaded.prompt_config, loaded.processor
    encoder = TextEncoder(processor.tokenizer)
    end = processor.tokenizer.convert_tokens_to_ids(IM_END)
    prompt = prompt_of(processor, prompt_config)
    kept, digest, records = _Kept(), hashlib.sha256(), []
    for place, file in enumerate(files):
        before = len(kept.columns.get("id", ()))
        left_before = kept.left_out.copy()
        rows = count_rows(file.parquet, file.rows)
        examples = rows_of(file.parquet, file.rows)
        for example in progress(examples, total=rows, unit="pictures prepared", quiet=quiet):
            digest.update(example.image + b"\0" + example.latex_formula.encode() + b"\0")
            latex = " ".join(normalize(example.latex_formula).split())
            if not latex:
                kept.left_out["no formula"] += 1
                continue
            try:
                picture, size = _picture(example.image, loaded)
            except InputError:
                kept.left_out["no picture"] += 1
                continue
            except NoInk:
                kept.left_out["no ink"] += 1
                continue
            grid = visual_tokens(size, prompt_config, processor.image_processor)
            answer = [*encoder.encode([answer_text(prompt_config, latex)])[0], end]
            length = prompt.length + grid[0] * grid[1] + len(answer)
            if length > cutoff:
                kept.left_out["too long"] += 1
                continue
            kept.add(
                id=example.id, picture=picture, latex=latex, answer=answer, rows=grid[0],
                columns=grid[1], length=length, file=place,
            )  # fmt: skip
        count = len(kept.columns.get("id", ())) - before
        left_out = dict(kept.left_out - left_before)
        if not count:
            raise InputError(f"No example of '{file.parquet}' is left to train on ({left_out}).")
        records.append(
            {"parquet": str(file.parquet), "rows": rows, "kept": count, "left_out": left_out}
        )
    lengths = sorted(kept.columns["length"])
    record = {
        "files": records,
        "examples": len(lengths),
        "left_out": dict(kept.left_out),
        "tokens": {"median": lengths[len(lengths) // 2], "longest": lengths[-1], "cutoff": cutoff},
        "sha256": digest.hexdigest(),
    }
    return FineTuningData(Dataset.from_dict(kept.columns), prompt, record)


def rows_of(path: Path, rows: Rows | None) -> Iterator[Example]:
    """The examples of a half-open range of a Parquet file's rows, in order."""
    start, stop = rows or (0, None)
    for number, example in enumerate(read_examples(path, stop)):
        if number >= start:
            yield example


def count_rows(path: Path, rows: Rows | None) -> int:
    """How many rows of a Parquet file lie in a range. Raises InputError when none does."""
    next(read_examples(path, 1), None)  # says what is wrong with the file, if anything
    total = count_examples(path)
    start, stop = rows or (0, total)
    if (count := min(stop, total) - start) <= 0:
        raise InputError(f"'{path}' has {total} rows: none of {start} to {stop}.")
    return count


def dev_examples(dev: DevSet) -> list[Example]:
    """The pictures of a dev set: the same ones every time."""
    examples = list(rows_of(dev.parquet, dev.rows))
    if not examples:
        count_rows(dev.parquet, dev.rows)
    if dev.sample is None or dev.sample >= len(examples):
        return examples
    return [examples[i * len(examples) // dev.sample] for i in range(dev.sample)]


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
