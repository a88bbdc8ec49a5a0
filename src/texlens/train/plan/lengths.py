"""How long the sequences of a recipe will be, measured on its data by what training itself does.

With the model's tokeniser files at hand the lengths are exact. Without, one token a byte stands in
for the tokeniser: no byte-level tokeniser writes more, so that is an upper bound.
"""

from __future__ import annotations

import heapq
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texlens.data.parquet import write_examples
from texlens.model.load import Loaded
from texlens.model.prompt_config import PromptConfig, load_prompt_config
from texlens.records import Example
from texlens.train.run.examples import count_rows, prepare_examples, rows_of
from texlens.train.run.settings import DataFile, TuningConfig

SPREAD = 2000
"""Rows of a file that are measured, evenly spread: all of a smaller file."""

EXTREME = 200
"""Rows of a file that are measured besides, for the longest sequence: those with most to read."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a recipe's sequences, in tokens; prompt, visual tokens and answer together.

    `tokens`, `visual` and `answers` are those of the evenly spread rows, in one order. `longest`
    counts the extreme rows too. `exact`: by the model's tokeniser; else an upper bound.
    `files`: the rows of each file. `unusable`: measured rows that training would leave out, by
    reason.
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


def prompt_config_of(config: TuningConfig, source: str) -> PromptConfig:
    """The prompt configuration a run of this recipe would have, as far as folders that exist tell."""
    for folder in (config.adapter, source):
        if (
            folder is not None
            and (found := load_prompt_config(Path(folder).expanduser())) is not None
        ):
            return config.prompt_config.applied_to(found)
    return config.prompt_config.applied_to(PromptConfig(base=source))


def processor_of(source: str, shape: Any, prompt_config: PromptConfig) -> tuple[Any, bool]:
    """A processor for the base, and whether it is the base's own.

    `shape` is the base's `Qwen2_5_VLConfig`. The files are looked for in the folder, or, for a
    name on the hub, in the local cache; nothing is fetched.
    """
    from transformers.utils.hub import cached_file

    from texlens.model.processor import build_processor, load_processor
    from texlens.model.shape import Shape
    from texlens.model.tokenizer import build_tokenizer

    try:
        for name in ("tokenizer.json", "preprocessor_config.json"):
            found = cached_file(source, name, local_files_only=True)
        return load_processor(Path(str(found)).parent), True
    except OSError:
        vision = shape.vision_config
        patches = Shape(patch=vision.patch_size, merge=vision.spatial_merge_size)
        # Without formulas its vocabulary is the bytes and the special tokens.
        return build_processor(patches, build_tokenizer(()), prompt_config), False


def measure_lengths(
    files: tuple[DataFile, ...], processor: Any, prompt_config: PromptConfig, *, exact: bool
) -> Lengths:
    """Measure the rows of the files that are chosen for it; see `SPREAD` and `EXTREME`.

    Raises InputError when a file cannot be read or holds nothing to train on.
    """
    rows = tuple(count_rows(file.parquet, file.rows) for file in files)
    with tempfile.TemporaryDirectory() as folder:
        chosen = []
        for place, (file, count) in enumerate(zip(files, rows, strict=True)):
            path = Path(folder) / f"{place}.parquet"
            write_examples(path, _chosen(file, count))
            chosen.append(DataFile(parquet=path))
        data = prepare_examples(
            chosen, Loaded(None, processor, prompt_config), cutoff=sys.maxsize, quiet=True
        )
    columns = data.table[:]
    tokens = np.asarray(columns["length"])
    visual = np.asarray(columns["rows"]) * np.asarray(columns["columns"])
    answers = tokens - visual - data.prompt.length
    spread = np.asarray([id.startswith("spread") for id in columns["id"]])
    return Lengths(
        exact, tokens[spread], visual[spread], answers[spread],
        int(tokens.max()), int(visual.max()), int(answers.max()),
        rows, data.record["left_out"],
    )  # fmt: skip


def _chosen(file: DataFile, rows: int) -> Iterator[Example]:
    """Rows evenly spread over the file, and those with the most bytes of LaTeX and of pixels."""
    every = -(-rows // SPREAD)
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
