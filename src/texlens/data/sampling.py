"""Samples of a corpus: as many items as are asked for, chosen before any picture is opened.

Every split of every source has a queue of candidates, best first. `choose` goes through the queues
and takes what is clean, is no duplicate and is in no other split, until each split is full;
`missing` names the candidates that must be cleaned before it can go on. A corpus of half a million
pictures is so cleaned only as far as its sample needs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from texlens.data.corpora.base import Locator
from texlens.data.items import SPLITS, Sizes, Split
from texlens.data.split import DUPLICATE, Key, Outcome, leak

Queues = Mapping[tuple[str, Split], Sequence[int]]
"""(source, split) -> the numbers of its candidates, best first; splits may share a queue."""

Order = Callable[[Sequence[Locator], int], Queues]
"""From the locators of a corpus and a seed to its queues."""

_LEAST_YIELD = 0.3  # of candidates: however few were good so far, not more than this are cleaned


def by_hash(locators: Sequence[Locator], seed: int) -> Queues:
    """Candidates in an order that depends only on the seed and the id of each.

    Where the authors have made splits, a split has the candidates of theirs; one that they do not
    have takes from their training part, or from all where there is none.
    """
    salt = seed.to_bytes(8, "big", signed=True)

    def place(number: int) -> bytes:
        label = locators[number].id.encode(errors="surrogatepass")
        return hashlib.blake2b(salt + label, digest_size=16).digest()

    sources: dict[str, list[int]] = {}
    for number in sorted(range(len(locators)), key=place):
        sources.setdefault(locators[number].source, []).append(number)
    queues: dict[tuple[str, Split], Sequence[int]] = {}
    for source, numbers in sorted(sources.items()):
        own: dict[Split | None, list[int]] = {}
        for number in numbers:
            own.setdefault(locators[number].split, []).append(number)
        rest = numbers if None in own else own.get("train", numbers)
        for split in SPLITS:
            queues[source, split] = rest if None in own else own.get(split, rest)
    return queues


@dataclass
class Choice:
    """What has been chosen: the outcome of every candidate that was looked at.

    `lacking` has the items that a queue could not give yet.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    lacking: dict[tuple[str, Split], int] = field(default_factory=dict)


def choose(queues: Queues, sizes: Sizes, cleaned: Mapping[int, Key | None]) -> Choice:
    """Fill the splits as far as the candidates in `cleaned` allow.

    Test is filled first, then validation, then train, so that an item that could be in two splits is
    in the earlier of these. Sources give equal parts; one that is used up is made up for by others.

    Args:
        queues: the candidates.
        sizes: of train, validation and test.
        cleaned: the number of every candidate that was cleaned, and its key; None where it was
            dropped.

    Returns:
        The choice, in which the outcome of a candidate is its split or why it was not taken.
    """
    choice = Choice()
    held: dict[tuple[str, bytes], Split] = {}
    pairs: set[tuple[bytes, bytes]] = set()

    def take(number: int, key: Key, split: Split) -> bool:
        if (key.formula, key.picture) in pairs:
            choice.outcomes[number] = DUPLICATE
            return False
        both = (("formula", key.formula), ("picture", key.picture))
        for one in both:
            if held.get(one, split) != split:
                choice.outcomes[number] = leak(one[0], held[one])
                return False
        pairs.add((key.formula, key.picture))
        held.update(dict.fromkeys(both, split))
        choice.outcomes[number] = split
        return True

    sources = sorted({source for source, _ in queues})
    for split, size in reversed(list(zip(SPLITS, sizes, strict=True))):
        wanted = _equal_parts(size, len(sources))
        places = [0] * len(sources)
        while any(wanted):
            used_up = []
            for n, source in enumerate(sources):
                queue = queues[source, split]
                while wanted[n] and places[n] < len(queue):
                    number = queue[places[n]]
                    if number not in cleaned:
                        break
                    places[n] += 1
                    key = cleaned[number]
                    if key is not None and number not in choice.outcomes:
                        wanted[n] -= take(number, key, split)
                if places[n] == len(queue):
                    used_up.append(n)
            others = [n for n in range(len(sources)) if n not in used_up]
            short = sum(wanted[n] for n in used_up)
            if not short or not others:
                break
            for n in used_up:
                wanted[n] = 0
            for n, more in zip(others, _equal_parts(short, len(others)), strict=True):
                wanted[n] += more
        for n, source in enumerate(sources):
            if wanted[n] and places[n] < len(queues[source, split]):
                choice.lacking[source, split] = wanted[n]
    return choice


def _equal_parts(size: int, parts: int) -> list[int]:
    """A number as a sum of equal parts; the remainder goes to the first of them."""
    return [size // parts + (n < size % parts) for n in range(parts)]


def missing(queues: Queues, choice: Choice, cleaned: Mapping[int, Key | None]) -> list[int]:
    """The numbers of the candidates to clean next, ascending; none when the choice is complete."""
    taken = sum(isinstance(outcome, str) for outcome in choice.outcomes.values())
    share = max(taken / len(cleaned), _LEAST_YIELD) if cleaned else 1.0
    wanted: set[int] = set()
    for place, lacking in choice.lacking.items():
        room = math.ceil(lacking / share)
        for number in queues[place]:
            if room and number not in cleaned and number not in wanted:
                wanted.add(number)
                room -= 1
    return sorted(wanted)
