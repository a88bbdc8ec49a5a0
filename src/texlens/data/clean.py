"""The checks that every item passes before it enters a data set, a chunk of items at a time.

In order: the picture opens and is within the limits; the LaTeX holds a formula, is within the
token limit and parses (KaTeX, and TeX if asked for); where the normal form changed more than spaces, its glyph boxes are compared
with those of the original text.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from texlens.data.items import CleanItem, Drop, RawItem
from texlens.images import on_paper

# Ink differs from the ground by at least half of what the picture's darkest (or lightest) pixel
# does: a faint pencil on grey paper is ink, and the noise of JPEG around black print is not.
# Where no pixel differs by this much the picture is blank.
_LEAST_CONTRAST = 24


class Limits(BaseModel):
    """What an item may be at most. A field of `dataset.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(512, gt=0, description="LaTeX tokens of the normal form")
    max_pixels: int = Field(16_000_000, gt=0, description="width x height of the picture")
    min_side_px: int = Field(4, gt=0)
    max_aspect: float = Field(100.0, gt=1, description="longer side / shorter side")
    min_ink_pixels: int = Field(4, ge=0, description="a picture with fewer is blank")
    verify: Literal["changed", "all", "none"] = "changed"
    tex: bool = Field(False, description="TeX must accept the normal form too")


def clean_chunk(items: Sequence[RawItem | Drop], limits: Limits) -> Iterator[CleanItem | Drop]:
    """Check items, in order: one CleanItem or Drop for each."""
    from texlens.latex import formula_of, katex_valid, normalize, tokenize

    outcomes: list[CleanItem | Drop] = []
    originals: list[str] = []
    for item in items:
        if isinstance(item, Drop):
            outcomes.append(item)
            originals.append("")
            continue
        text = formula_of(item.latex)
        formula = normalize(item.latex)
        problem = _picture_problem(item.image, limits)
        if isinstance(problem, Drop):
            outcomes.append(Drop(item.id, problem.step, problem.reason))
        elif not formula:
            outcomes.append(Drop(item.id, "latex", "is empty"))
        elif len(formula.split(" ")) > limits.max_tokens:
            outcomes.append(Drop(item.id, "latex", f"has more than {limits.max_tokens} tokens"))
        else:
            outcomes.append(
                CleanItem(
                    item.id, item.image, formula, item.kind, item.source, item.split, problem, False
                )
            )
        originals.append(text)

    _require(outcomes, katex_valid, "does not parse (KaTeX)")
    if limits.tex:
        from texlens.render.tex import compiles

        _require(outcomes, compiles, "does not compile (TeX)")
    if limits.verify != "none":
        doubtful = [
            n
            for n, outcome in enumerate(outcomes)
            if isinstance(outcome, CleanItem)
            and (
                limits.verify == "all" or tokenize(originals[n]) != outcome.latex_formula.split(" ")
            )
        ]
        _verify(outcomes, originals, doubtful)
    yield from outcomes


def _require(
    outcomes: list[CleanItem | Drop],
    accepts: Callable[[Sequence[str]], Sequence[bool | None]],
    reason: str,
) -> None:
    """Drop the items whose normal form `accepts` refuses."""
    kept = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, CleanItem)]
    for n, valid in zip(kept, accepts([_formula(outcomes[n]) for n in kept]), strict=True):
        if not valid:
            outcomes[n] = Drop(outcomes[n].id, "valid", reason)


def _formula(outcome: CleanItem | Drop) -> str:
    return outcome.latex_formula if isinstance(outcome, CleanItem) else ""


def _verify(outcomes: list[CleanItem | Drop], originals: list[str], which: list[int]) -> None:
    """Draw the original and the normal form of these items; drop those that look different."""
    from texlens.render import same_picture

    pairs = [(originals[n], _formula(outcomes[n])) for n in which]
    for n, same in zip(which, same_picture(pairs), strict=True):
        outcome = outcomes[n]
        assert isinstance(outcome, CleanItem)
        if same is None:
            # The original does not draw (a macro of its authors, say), but its normal form parses:
            # there is nothing to compare with. The item stays, and is counted as not comparable.
            outcomes[n] = replace(outcome, verified=None)
        elif same:
            outcomes[n] = replace(outcome, verified=True)
        else:
            outcomes[n] = Drop(outcome.id, "verify", "its normal form draws another picture")


def _picture_problem(content: bytes, limits: Limits) -> str | Drop:
    """The picture's hash, or why it cannot be used. The header is checked before any pixel is read."""
    if not content:
        return Drop("", "picture", "is empty")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            if width * height > limits.max_pixels:
                return Drop("", "picture", f"is too large ({width} x {height})")
            if min(width, height) < limits.min_side_px:
                return Drop("", "picture", f"is too small ({width} x {height})")
            if max(width, height) > limits.max_aspect * min(width, height):
                return Drop("", "picture", f"is too narrow ({width} x {height})")
            grey = to_grey(picture)
    except Exception as error:  # a decoder fails in many ways on a broken file
        return Drop("", "picture", f"cannot be opened ({type(error).__name__})")
    ink = ink_mask(grey)
    if int(ink.sum()) < limits.min_ink_pixels:
        return Drop("", "picture", "is blank")
    return hash_ink(grey, ink)


def to_grey(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture (height, width) in grey of 8 bits, transparency on white."""
    if picture.mode.startswith("I;16"):  # Pillow would clip, not scale
        return (np.asarray(picture) >> 8).astype(np.uint8)
    return np.asarray(on_paper(picture).convert("L"))


def ink_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the picture differs clearly from its ground, the commonest grey value."""
    ground = int(np.bincount(grey.ravel(), minlength=256).argmax())
    contrast = np.abs(grey.astype(np.int16) - ground)
    return contrast >= max(_LEAST_CONTRAST, int(contrast.max()) // 2)


def hash_ink(grey: NDArray[np.uint8], ink: NDArray[np.bool_]) -> str:
    """A hash of the pixels inside the ink's box: equal for one picture with any margin or format."""
    rows = np.flatnonzero(ink.any(axis=1))
    columns = np.flatnonzero(ink.any(axis=0))
    box = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    digest = hashlib.blake2b(np.ascontiguousarray(box).tobytes(), digest_size=16)
    digest.update(repr(box.shape).encode())
    return digest.hexdigest()
