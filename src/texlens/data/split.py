"""Which item goes into which split: no duplicate, and no formula or picture in two splits.

Works on keys alone (16 bytes a formula), so that a corpus of any size fits in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from texlens.data.items import SPLITS, Split

_DEFAULT_HELD_OUT = 0.05  # of the items, each for validation and test


@dataclass(frozen=True, slots=True)
class Key:
    """What the split needs to know of an item."""

    formula: bytes
    picture: bytes
    source: str
    split: Split | None


def formula_key(formula: str) -> bytes:
    """A 16-byte key of a formula in normal form."""
    return hashlib.blake2b(formula.encode(errors="surrogatepass"), digest_size=16).digest()


def assign(
    keys: Sequence[Key], sizes: tuple[int, int, int] | None, seed: int
) -> list[Split | tuple[str, str]]:
    """The split of every item, or the (step, reason) for leaving it out.

    An item with the formula and the picture of an earlier one is a duplicate. Where every item has
    a split of its authors', those are kept, unless `sizes` asks for others. Otherwise whole
    formulas are dealt out in an order that depends on `seed` and the formula alone, to test, then
    validation, then train, until each has its size (None: 5 % of the items each for test and
    validation, and none is left out). With several sources, each gives an equal part. In the end
    what has the formula or the picture of a test item leaves the other splits, and what has those
    of a validation item leaves train.
    """
    outcome: list[Split | tuple[str, str] | None] = [None] * len(keys)
    seen: set[tuple[bytes, bytes]] = set()
    for n, key in enumerate(keys):
        if (key.formula, key.picture) in seen:
            outcome[n] = ("duplicate", "has the formula and the picture of an earlier item")
        else:
            seen.add((key.formula, key.picture))
    left = [n for n in range(len(keys)) if outcome[n] is None]
    if left and sizes is None and all(keys[n].split is not None for n in left):
        for n in left:
            outcome[n] = keys[n].split
    else:
        sources = sorted({keys[n].source for n in left})
        for rank, source in enumerate(sources):
            members = [n for n in left if keys[n].source == source]
            part = sizes and _equal_part(sizes, rank, len(sources))
            _deal(keys, members, part, seed, outcome)
    _keep_apart(keys, left, outcome)
    return [
        o if o is not None else ("sample", "was not needed for the sizes asked") for o in outcome
    ]


def _equal_part(sizes: tuple[int, int, int], rank: int, parts: int) -> tuple[int, ...]:
    """One source's part of each size; what does not divide goes to the first sources."""
    return tuple(size // parts + (rank < size % parts) for size in sizes)


def _deal(
    keys: Sequence[Key],
    members: list[int],
    sizes: tuple[int, ...] | None,
    seed: int,
    outcome: list[Split | tuple[str, str] | None],
) -> None:
    groups: dict[bytes, list[int]] = {}
    for n in members:
        groups.setdefault(keys[n].formula, []).append(n)
    salt = seed.to_bytes(8, "big", signed=True)
    order = sorted(groups, key=lambda formula: hashlib.blake2b(salt + formula).digest())
    held_out = round(len(members) * _DEFAULT_HELD_OUT)
    room = dict(zip(SPLITS, sizes or (len(members), held_out, held_out), strict=True))
    for formula in order:
        group = groups[formula]
        for split in reversed(SPLITS):
            if room[split] > 0:
                # A size that was asked for is not exceeded: a formula written more often than
                # there is room for gives only so many pictures.
                chosen = group if sizes is None else group[: room[split]]
                for n in chosen:
                    outcome[n] = split
                room[split] -= len(chosen)
                break


def _keep_apart(
    keys: Sequence[Key], left: list[int], outcome: list[Split | tuple[str, str] | None]
) -> None:
    """Leave out of a split what a later one holds: test wins, then validation.

    A picture can come twice with two spellings of its formula that the normal form cannot tell to
    be one, so pictures are kept apart too.
    """
    for what, key_of in (("formula", _formula), ("picture", _picture)):
        holder: dict[bytes, int] = {}
        for n in left:
            split = outcome[n]
            if isinstance(split, str):
                key = key_of(keys[n])
                holder[key] = max(SPLITS.index(split), holder.get(key, 0))
        for n in left:
            split = outcome[n]
            if isinstance(split, str):
                last = holder[key_of(keys[n])]
                if SPLITS.index(split) < last:
                    outcome[n] = ("leak", f"its {what} is also in {SPLITS[last]}")


def _formula(key: Key) -> bytes:
    return key.formula


def _picture(key: Key) -> bytes:
    return key.picture
