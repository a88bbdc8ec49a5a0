"""The lengths of a recipe's sequences, measured on its data as training itself prepares them.

With the model's tokeniser files the lengths are exact. Without them every byte counts as one token:
no byte-level tokeniser makes more, so that is an upper bound.
"""

from __future__ import annotations

import heapq
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt_config import PromptConfig
from texlens.records import Example
from texlens.train.data.examples import ExamplePreparer, count_rows, rows_of
from texlens.train.settings import DataFile

SPREAD = 2000
"""The number of evenly spaced rows of a file that are measured; all rows of a smaller file."""

EXTREME = 200
"""The number of further rows that are measured: those likely to be the longest sequences."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a recipe's sequences, in tokens; prompt, visual tokens and answer together.

    `tokens`, `visual` and `answers` are those of the evenly spaced rows, in one order, (rows,).
    `longest` counts the extreme rows too. `exact`: by the model's tokeniser; else an upper bound.
    `files`: the number of rows of each file. `unusable`: the number of measured rows that training
    would leave out, by reason.
    """

    exact: bool
    tokens: NDArray[np.int64]
    visual: NDArray[np.int64]
    answers: NDArray[np.int64]
    longest: int
    longest_visual: int
    longest_answer: int
    files: tuple[int, ...]
    unusable: dict[str, int]


def processor_of(source: str, shape: Any, prompt_config: PromptConfig) -> tuple[Any, bool]:
    """A processor for the base, and whether it is the base's own.

    `shape` is the base's `Qwen2_5_VLConfig`. The files are looked for in the folder, or, for a
    name on the hub, in the local cache; nothing is fetched.
    """
    from texlens.model.image_settings import OWN_FILE, SHARED_FILE
    from texlens.model.processor import build_processor, load_processor
    from texlens.model.shape import Shape
    from texlens.model.tokenizer import build_tokenizer

    tokenizer = _local_file(source, "tokenizer.json")
    if tokenizer is not None and any(_local_file(source, name) for name in (OWN_FILE, SHARED_FILE)):
        return load_processor(tokenizer.parent), True
    vision = shape.vision_config
    patches = Shape(patch=vision.patch_size, merge=vision.spatial_merge_size)
    # Without formulas its vocabulary is the bytes and the special tokens.
    return build_processor(patches, build_tokenizer(()), prompt_config), False


def _local_file(source: str, name: str) -> Path | None:
    """A file of a model in a folder or in the local cache of the hub."""
    from transformers.utils.hub import cached_file

    found = cached_file(
        source, name, local_files_only=True, _raise_exceptions_for_missing_entries=False
    )
    return None if found is None else Path(found)


def measure_lengths(
    files: tuple[DataFile, ...], processor: Any, prompt_config: PromptConfig, *, exact: bool
) -> Lengths:
    """Measure some rows of the files; see `SPREAD` and `EXTREME`.

    Raises InputError when a file cannot be read or has nothing to train on.
    """
    prepare = ExamplePreparer(Loaded(None, processor, prompt_config))
    unusable = Counter[str]()
    measured: list[tuple[bool, int, int, int]] = []  # spread; tokens, visual and of the answer
    for file in files:
        measured_before = len(measured)
        for example in _chosen(file):
            (row,) = prepare([example])
            if isinstance(row, str):
                unusable[row] += 1
                continue
            is_spread = example.id.startswith("spread")
            visual = row["rows"] * row["columns"]
            measured.append((is_spread, row["length"], visual, len(row["answer"])))
        if len(measured) == measured_before:
            raise InputError(f"No example of '{file.parquet}' can be trained on: {dict(unusable)}.")
    spread, tokens, visual, answers = np.array(measured).T
    spread = spread.astype(bool)
    return Lengths(
        exact=exact,
        tokens=tokens[spread],
        visual=visual[spread],
        answers=answers[spread],
        longest=int(tokens.max()),
        longest_visual=int(visual.max()),
        longest_answer=int(answers.max()),
        files=tuple(count_rows(file.parquet, file.rows) for file in files),
        unusable=dict(unusable),
    )


def _chosen(file: DataFile) -> Iterator[Example]:
    """Evenly spaced rows of a file, and those with the most bytes of LaTeX and of pixels."""
    every = -(-count_rows(file.parquet, file.rows) // SPREAD)
    extreme: list[tuple[int, int, Example]] = []
    for number, example in enumerate(rows_of(file.parquet, file.rows)):
        if number % every == 0:
            yield replace(example, id=f"spread-{number}")
            continue
        # One visual token covers about 28 x 28 pixels; a byte of LaTeX is at most one token.
        weight = len(example.latex_formula) + _pixels(example.image) // 28**2
        heapq.heappush(extreme, (weight, number, example))
        if len(extreme) > EXTREME:
            heapq.heappop(extreme)
    for _, number, example in extreme:
        yield replace(example, id=f"extreme-{number}")


def _pixels(content: bytes) -> int:
    """The area that a picture's header states; 0 for what is none, which training leaves out."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except OSError:
        return 0
