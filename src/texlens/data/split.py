"""Which item goes into which split where all are kept: no formula or picture in two splits.

Works on keys alone (16 bytes a formula), so that a corpus of any size fits in memory. `sampling`
does the same for a sample of given sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from texlens.data.items import SPLITS, Split

Outcome = Split | tuple[str, str]  # of an item: its split, or the step and reason of a drop
DUPLICATE: Outcome = ("duplicate", "has the formula and the picture of an earlier item")
_HELD_OUT = 0.05  # of the items, each for validation and test


def leak(what: str, split: Split) -> Outcome:
    """Why an item is left out whose formula or picture is in another split."""
    return ("leak", f"its {what} is also in {split}")


@dataclass(frozen=True, slots=True)
class Key:
    """What decides the split of an item; `split` is its authors'."""

    formula: bytes
    picture: bytes
    split: Split | None


def formula_key(formula: str) -> bytes:
    """A 16-byte key of a formula in normal form."""
    return hashlib.blake2b(formula.encode(errors="surrogatepass"), digest_size=16).digest()


def assign(keys: Sequence[Key], seed: int) -> list[Outcome]:
    """The split of every item, or the (step, reason) for leaving it out.

    1. An item with the formula and the picture of an earlier one is a duplicate.
    2. Where every item has a split of its authors, it is kept. Otherwise whole formulas, in an order
       that depends on `seed` and the formula alone, go to test and validation until each has 5 % of
       the items; all others go to train.
    3. An item with the formula or the picture of a test item leaves the other splits; one with
       those of a validation item leaves train.
    """
    outcome: list[Outcome] = [DUPLICATE] * len(keys)
    seen: set[tuple[bytes, bytes]] = set()
    left = []
    for n, key in enumerate(keys):
        if (key.formula, key.picture) not in seen:
            seen.add((key.formula, key.picture))
            left.append(n)
    own = [split for n in left if (split := keys[n].split)]
    if len(own) == len(left):
        for n, split in zip(left, own, strict=True):
            outcome[n] = split
    else:
        _hold_out(keys, left, seed, outcome)
    _keep_apart(keys, left, outcome)
    return outcome


def _hold_out(keys: Sequence[Key], left: list[int], seed: int, outcome: list[Outcome]) -> None:
    groups: dict[bytes, list[int]] = {}
    for n in left:
        groups.setdefault(keys[n].formula, []).append(n)
    salt = seed.to_bytes(8, "big", signed=True)
    order = sorted(groups, key=lambda formula: hashlib.blake2b(salt + formula).digest())
    size = round(len(left) * _HELD_OUT)
    room: dict[Split, int] = {"test": size, "validation": size}
    for formula in order:
        split: Split = next((split for split in room if room[split] > 0), "train")
        for n in groups[formula]:
            outcome[n] = split
        if split in room:
            room[split] -= len(groups[formula])


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
                outcome[n] = leak(what, SPLITS[last[key]])
