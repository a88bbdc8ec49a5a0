"""The checks that every item passes before it enters a data set, a chunk of items at a time.

In order: the picture opens and is within the limits; the LaTeX contains a formula, is within the
token limit and parses (KaTeX, and TeX if asked for); where the normal form changes more than
spaces, its glyph boxes are compared with those of the original text.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from texlens.data.items import CleanItem, Drop, RawItem
from texlens.engine import EngineFault, get_engine, without_fault
from texlens.errors import TexlensError
from texlens.images import dark_on_white, encode_png, ink_box
from texlens.latex import formula_of, normalize, tokenize

# Ink differs from the background by at least half of what the picture's darkest (or lightest) pixel
# does: a faint pencil on grey paper is ink, and the noise of JPEG around black print is not.
# Where no pixel differs by this much the picture is blank.
_LEAST_CONTRAST = 24


class Limits(BaseModel):
    """The limits of an item. A field of `dataset.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(512, gt=0, description="LaTeX tokens of the normal form")
    max_pixels: int = Field(16_000_000, gt=0, description="width x height of the picture")
    min_side_px: int = Field(4, gt=0)
    max_aspect: float = Field(100.0, gt=1, description="longer side / shorter side")
    min_ink_pixels: int = Field(4, ge=0, description="a picture with fewer is blank")
    verify: Literal["changed", "all", "none"] = "changed"
    tex: bool = Field(False, description="TeX must accept the normal form too")


def clean_chunk(items: Sequence[RawItem | Drop], limits: Limits) -> list[CleanItem | Drop]:
    """Check items: one CleanItem or Drop for each, in order.

    An item on which a check itself fails is dropped at the step `fault`; the others go on.
    """
    try:
        return _clean(items, limits)
    except Exception as error:
        if isinstance(error, TexlensError) and not isinstance(error, EngineFault):
            raise  # about this machine, not an item
        if len(items) == 1:
            reason = f"{type(error).__name__}: {error}"[:300]
            return [Drop(items[0].id, "fault", reason)]
    return [outcome for item in items for outcome in clean_chunk([item], limits)]


def _clean(items: Sequence[RawItem | Drop], limits: Limits) -> list[CleanItem | Drop]:
    outcomes = [item if isinstance(item, Drop) else _check(item, limits) for item in items]
    _require(outcomes, _parse, "does not parse (KaTeX)")
    if limits.tex:
        from texlens.render.tex import compiles

        _require(outcomes, compiles, "does not compile (TeX)")
    if limits.verify != "none":
        _verify(outcomes, items, limits.verify == "all")
    return outcomes


def _parse(formulas: Sequence[str]) -> list[bool]:
    failures = without_fault(get_engine().parse(formulas))
    return [failure is None for failure in failures]


def _check(item: RawItem, limits: Limits) -> CleanItem | Drop:
    """The checks of an item that need no other program."""
    try:
        image, picture_hash = _checked_picture(item.image, limits)
    except _Unusable as problem:
        return Drop(item.id, "picture", str(problem))
    formula = normalize(item.latex)
    if not formula:
        return Drop(item.id, "latex", "is empty")
    if len(formula.split(" ")) > limits.max_tokens:
        return Drop(item.id, "latex", f"has more than {limits.max_tokens} tokens")
    return CleanItem(
        item.id, image, formula, item.kind, item.source, item.split, picture_hash, False
    )


def _require(
    outcomes: list[CleanItem | Drop],
    accepts: Callable[[Sequence[str]], Sequence[bool | None]],
    reason: str,
) -> None:
    """Drop the items whose normal form `accepts` refuses."""
    kept = [(n, item) for n, item in enumerate(outcomes) if isinstance(item, CleanItem)]
    valid = accepts([item.latex_formula for _, item in kept])
    for (n, item), accepted in zip(kept, valid, strict=True):
        if not accepted:
            outcomes[n] = Drop(item.id, "valid", reason)


def _verify(outcomes: list[CleanItem | Drop], items: Sequence[RawItem | Drop], every: bool) -> None:
    """Render original and normal form of the items that changed, or of `every` item.

    An item whose two pictures differ is dropped.
    """
    from texlens.render import same_picture

    compared: list[tuple[int, CleanItem, str]] = []
    for n, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
        if isinstance(item, RawItem) and isinstance(outcome, CleanItem):
            original = formula_of(item.latex)
            if every or tokenize(original) != outcome.latex_formula.split(" "):
                compared.append((n, outcome, original))
    same = same_picture([(original, clean.latex_formula) for _, clean, original in compared])
    for (n, clean, _), verdict in zip(compared, same, strict=True):
        if verdict is False:
            outcomes[n] = Drop(clean.id, "verify", "its normal form draws another picture")
        else:
            # None: the original cannot be rendered (a macro of its authors, say), but its normal
            # form parses. The item stays, counted as not comparable.
            outcomes[n] = replace(clean, verified=verdict)


class _Unusable(Exception):
    """A picture that cannot be used; the message is the reason."""


def _checked_picture(content: bytes, limits: Limits) -> tuple[bytes, str]:
    """The picture, opaque and dark on white where it had transparent parts, and its hash.

    The header is checked before any pixel is read. Raises _Unusable.
    """
    if not content:
        raise _Unusable("is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have our own limit
            with Image.open(io.BytesIO(content)) as stored:
                _check_size(stored, limits)
                picture = dark_on_white(stored)
                if picture is not stored:
                    content = encode_png(picture)
                grey = to_grey(picture)
    except _Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise _Unusable(f"is too large (more than {limits.max_pixels} pixels)") from error
    except Exception as error:  # a decoder fails in many ways on a broken file
        raise _Unusable(f"cannot be opened ({type(error).__name__})") from error
    ink = ink_mask(grey)
    if int(ink.sum()) < limits.min_ink_pixels:
        raise _Unusable("is blank")
    return content, hash_ink(grey, ink)


def _check_size(picture: Image.Image, limits: Limits) -> None:
    width, height = picture.size
    size = f"({width} x {height})"
    if width * height > limits.max_pixels:
        raise _Unusable(f"is too large {size}")
    if min(width, height) < limits.min_side_px:
        raise _Unusable(f"is too small {size}")
    if max(width, height) > limits.max_aspect * min(width, height):
        raise _Unusable(f"is too narrow {size}")


def to_grey(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture (height, width) in grey of 8 bits, dark on white where it has transparent parts."""
    if picture.mode.startswith("I;16"):  # Pillow would clip, not scale
        return (np.asarray(picture) >> 8).astype(np.uint8)
    return np.asarray(dark_on_white(picture).convert("L"))


def ink_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the picture differs clearly from its background, the commonest grey value."""
    background = int(np.bincount(grey.ravel(), minlength=256).argmax())
    contrast = np.abs(grey.astype(np.int16) - background)
    return contrast >= max(_LEAST_CONTRAST, int(contrast.max()) // 2)


def hash_ink(grey: NDArray[np.uint8], ink: NDArray[np.bool_]) -> str:
    """A hash of the pixels inside the ink's box: equal for one picture with any margin or format."""
    place = ink_box(ink)
    assert place is not None
    box = grey[place]
    digest = hashlib.blake2b(np.ascontiguousarray(box).tobytes(), digest_size=16)
    digest.update(repr(box.shape).encode())
    return digest.hexdigest()
