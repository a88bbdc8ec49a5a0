"""What travels through the preparation of a data set, from a source to a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from texlens.records import Kind

Split = Literal["train", "validation", "test"]
Sizes = tuple[int, int, int]  # of train, validation and test
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class RawItem:
    """A picture and its LaTeX as a source publishes them.

    `split` is the part of the corpus its authors put it in, None where they made none.
    """

    id: str
    image: bytes
    latex: str
    kind: Kind
    source: str
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """An item that was left out: at which step, and why. A line of `dropped.jsonl`."""

    id: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class CleanItem:
    """An item that passed every check, with what the later steps need to know of it.

    `latex_formula` is in normal form. `picture_hash` is of the grey pixels inside the ink's box, so
    that margins and file format do not matter. `verified` is True when the normal form was drawn and
    found equal to the original text, None when the original could not be drawn, False when nobody
    looked.
    """

    id: str
    image: bytes
    latex_formula: str
    kind: Kind
    source: str
    split: Split | None
    picture_hash: str
    verified: bool | None
