"""The records of the preparation of a data set, from a corpus to a split; no heavy import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from texlens.records import Kind

Split = Literal["train", "validation", "test"]
Sizes = tuple[int, int, int]  # of train, validation and test
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
Format = Literal["messages", "grpo", "prompt_completion"]  # forms of a data set beside Parquet
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


@dataclass(frozen=True, slots=True)
class RawItem:
    """A picture and its LaTeX as a corpus has them.

    `split` is the split of the corpus's authors, None where they made none.
    """

    id: str
    image: bytes
    latex: str
    kind: Kind
    source: str
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """An item that is left out: at which step, and why. A line of `dropped.jsonl`."""

    id: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class CleanItem:
    """An item that passed every check, with what the later steps need.

    `latex_formula` is in normal form. `picture_hash` is of the grey pixels inside the ink's box, so
    that margins and file format do not matter. `verified` is True when the normal form renders as
    the original text does, None when the original cannot be rendered, False when they were not
    compared.
    """

    id: str
    image: bytes
    latex_formula: str
    kind: Kind
    source: str
    split: Split | None
    picture_hash: str
    verified: bool | None
