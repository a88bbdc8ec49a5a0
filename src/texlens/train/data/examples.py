"""Examples of fine-tuning: pictures framed, LaTeX normalised, answers encoded, lengths known.

Nothing is truncated: what cannot be used is left out, with the reason. The pictures are framed as
`Reader` frames them for the same model, so that training and reading see the same. Which examples a
run has, and where they are kept, is in `run.prepared`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from texlens.data.formats import answer_text
from texlens.data.parquet import count_examples, read_examples
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.latex import normalize
from texlens.model.load import Loaded
from texlens.model.prompt import prompt_of
from texlens.model.prompt_config import PromptConfig
from texlens.model.tokenizer import IM_END, TextEncoder
from texlens.reading.pictures.framing import NoInk, frame_for, frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.records import Example
from texlens.train.config import Rows
from texlens.train.settings import DevSet

Row = dict[str, Any]
"""A prepared example: `id`, `picture` (a picture file), `latex` (normal form), `answer` (token ids with
the end token), `rows` and `columns` (of visual tokens), `length` (tokens of the whole sequence)."""


class ExamplePreparer:
    """Prepares examples for a model; the model's weights are not used.

    With `unlabelled`, examples without LaTeX are kept too, with an empty answer.
    """

    def __init__(self, loaded: Loaded, *, unlabelled: bool = False) -> None:
        self.unlabelled = unlabelled
        self.prompt_config, self.processor = loaded.prompt_config, loaded.processor
        self.frame = frame_for(loaded.prompt_config, loaded.processor.image_processor)
        self.prompt_length = prompt_of(loaded.processor, loaded.prompt_config).length
        self.encoder = TextEncoder(loaded.processor.tokenizer)
        self.end = int(loaded.processor.tokenizer.convert_tokens_to_ids(IM_END))

    def __call__(self, examples: Sequence[Example]) -> list[Row | str]:
        """The row of each example, or why it is left out."""
        rows = [self._without_answer(example) for example in examples]
        kept = [row for row in rows if not isinstance(row, str)]
        texts = [answer_text(self.prompt_config, row["latex"]) for row in kept]
        for row, answer in zip(kept, self.encoder.encode(texts), strict=True):
            row["answer"] = [*answer, self.end]
            visual = row["rows"] * row["columns"]
            row["length"] = self.prompt_length + visual + len(row["answer"])
        return rows

    def _without_answer(self, example: Example) -> Row | str:
        latex = " ".join(normalize(example.latex_formula).split())
        if not latex and not self.unlabelled:
            return "no formula"
        try:
            picture, size = self._picture(example.image)
        except InputError:
            return "picture damaged or too large"
        except NoInk:
            return "no ink"
        rows, columns = visual_tokens(size, self.prompt_config, self.processor.image_processor)
        return {
            "id": example.id, "picture": picture, "latex": latex, "rows": rows, "columns": columns
        }  # fmt: skip

    def _picture(self, content: bytes) -> tuple[bytes, tuple[int, int]]:
        """A picture file as the model is to see it, and its width and height."""
        image = open_picture(content)
        if self.frame is None:
            return content, image.size
        framed: Image.Image = frame_picture(image, self.frame)
        return encode_png(framed, compress_level=1), framed.size


def rows_of(path: Path, rows: Rows | None) -> Iterator[Example]:
    """The examples of a half-open range of a Parquet file's rows, in order; as `count_rows`."""
    count_rows(path, rows)
    start, stop = rows or (0, None)
    with _damage_named(path):
        yield from islice(read_examples(path, stop), start, None)


def count_rows(path: Path, rows: Rows | None) -> int:
    """How many rows of a Parquet file lie in a range. Raises InputError when none does."""
    with _damage_named(path):
        next(read_examples(path, 1), None)  # raises if the file is not as it must be
        total = count_examples(path)
    start, stop = rows or (0, total)
    if (count := min(stop, total) - start) <= 0:
        raise InputError(f"'{path}' has {total} rows: none of {start} to {stop}.")
    return count


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what PyArrow raises over a damaged page into an InputError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"'{path}' is damaged: {reason}.") from error


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
