"""Which item goes into which split: no duplicate, and no formula or picture in two splits.

Works on keys alone (16 bytes a formula), so that a corpus of any size fits in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from texlens.data.items import SPLITS, Sizes, Split

Outcome = Split | tuple[str, str]  # of an item: its split, or the step and reason of a drop
_DEFAULT_HELD_OUT = 0.05  # of the items, each for validation and test


@dataclass(frozen=True, slots=True)
class Key:
    """What decides the split of an item."""

    formula: bytes
    picture: bytes
    source: str
    split: Split | None


def formula_key(formula: str) -> bytes:
    """A 16-byte key of a formula in normal form."""
    return hashlib.blake2b(formula.encode(errors="surrogatepass"), digest_size=16).digest()


def assign(keys: Sequence[Key], sizes: Sizes | None, seed: int) -> list[Outcome]:
    """The split of every item, or the (step, reason) for leaving it out.

    1. An item with the formula and the picture of an earlier one is a duplicate.
    2. Where every item has a split of its authors, it is kept, unless `sizes` asks for others.
       Otherwise whole formulas, in an order that depends on `seed` and the formula alone, go to
       test, then validation, then train, until each has its size. `sizes` None gives test and
       validation 5 % of the items each, and leaves none out. Several sources give equal parts.
    3. An item with the formula or the picture of a test item leaves the other splits; one with
       those of a validation item leaves train.
    """
    outcome: list[Outcome] = [("sample", "was not needed for the sizes asked")] * len(keys)
    seen: set[tuple[bytes, bytes]] = set()
    left = []
    for n, key in enumerate(keys):
        if (key.formula, key.picture) in seen:
            outcome[n] = ("duplicate", "has the formula and the picture of an earlier item")
        else:
            seen.add((key.formula, key.picture))
            left.append(n)
    own = [split for n in left if (split := keys[n].split)]
    if sizes is None and len(own) == len(left):
        for n, split in zip(left, own, strict=True):
            outcome[n] = split
    else:
        sources = sorted({keys[n].source for n in left})
        for rank, source in enumerate(sources):
            members = [n for n in left if keys[n].source == source]
            part = sizes and _equal_part(sizes, rank, len(sources))
            _choose(keys, members, part, seed, outcome)
    _keep_apart(keys, left, outcome)
    return outcome


def _equal_part(sizes: Sizes, rank: int, parts: int) -> tuple[int, ...]:
    """One source's part of each size; the remainder goes to the first sources."""
    return tuple(size // parts + (rank < size % parts) for size in sizes)


def _choose(
    keys: Sequence[Key],
    members: list[int],
    sizes: tuple[int, ...] | None,
    seed: int,
    outcome: list[Outcome],
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
                # A given size is not exceeded: of a formula with more pictures than there is room
                # for, only some pictures are taken.
                chosen = group if sizes is None else group[: room[split]]
                for n in chosen:
                    outcome[n] = split
                room[split] -= len(chosen)
                break


def _keep_apart(keys: Sequence[Key], left: list[int], outcome: list[Outcome]) -> None:
    """Leave out of a split what a later one holds: test wins, then validation.

    A picture can come twice with two spellings of its formula that the normal form does not unify,
    so pictures are kept apart too.
    """
    for what in ("formula", "picture"):
        held = [
            (n, SPLITS.index(split), getattr(keys[n], what))
            for n in left
            if isinstance(split := outcome[n], str)
        ]
        last: dict[bytes, int] = {}
        for _, rank, key in held:
            last[key] = max(rank, last.get(key, 0))
        for n, rank, key in held:
            if rank < last[key]:
                outcome[n] = ("leak", f"its {what} is also in {SPLITS[last[key]]}")
