"""New formulas out of given ones: parts of one formula are put into like places of another.

A model trained on a list of formulas alone learns the list by heart. Recombination samples any
number of new formulas with the notation, the lengths and the spelling of the list: sides of
relations are joined, contents of scripts, fractions, roots and fences are exchanged, and symbols
are renamed within their class, consistently within a formula.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from texlens.data.formulas.chemistry import vary_chemistry
from texlens.data.formulas.symbols import CLASS_OF, DIGITS, RELATIONS
from texlens.data.formulas.tree import Item, Unparsable, groups, parse, text_of, tokens_of
from texlens.errors import InputError
from texlens.latex import normalize

_RELATIONS = frozenset([*RELATIONS, ":", r"\stackrel"])
_CUTS = _RELATIONS | {",", ";", r"\quad", r"\qquad"}
_WORDS = frozenset(
    [r"\mathrm", r"\operatorname", r"\operatorname*", r"\text", r"\textrm", r"\mbox", r"\mathop",
     r"\textbf", r"\textit"]
)  # fmt: skip
_BARE = frozenset(["&", r"\\", r"\over", r"\atop", r"\choose", r"\hline"])


class Recombiner:
    """Samples any number of formulas in the notation of a given list.

    Args:
        formulas: the list; what cannot be parsed is left out.
        max_tokens: the longest formula sampled.
        exchange: share of slots whose content is replaced by that of a like slot.

    Raises:
        InputError: nothing in the list can be parsed.
    """

    def __init__(
        self, formulas: Iterable[str], *, max_tokens: int = 160, exchange: float = 0.25
    ) -> None:
        self.max_tokens = max_tokens
        self.exchange = exchange
        self._hosts: list[list[Item]] = []
        self._contents: dict[str, list[list[Item]]] = defaultdict(list)
        self._sides: list[list[Item]] = []
        self._relations: list[list[Item]] = []
        for formula in formulas:
            try:
                items = parse(normalize(formula))
            except Unparsable:
                continue
            self._hosts.append(items)
            self._harvest(items)
        if not self._hosts:
            raise InputError(
                "No formula of the list could be parsed: one is expected on each line."
            )

    def _harvest(self, items: list[Item]) -> None:
        if not _has_bare(items):
            sides, relations = _split(items)
            self._sides += [side for side in sides if side]
            self._relations += relations
        for group in groups(items):
            whole = group.slot == "columns" or group.opening.startswith(r"\begin")
            if group.items and not whole and not _has_bare(group.items):
                self._contents[group.slot].append(group.items)

    def sample(self, random: Random) -> str:
        """One new formula in normal form. The same state of ``random`` gives the same formula."""
        for _ in range(20):
            target = _length(random.choice(self._hosts))
            items = self._joined(random, target) if random.random() < 0.6 else None
            if items is None:
                items = random.choice(self._hosts)
            budget = max(target, _length(items))
            items = self._exchanged(items, random, [int(budget * 1.3) - _length(items)])
            items = _renamed(items, random)
            formula = normalize(text_of(items))
            if 2 <= formula.count(" ") < self.max_tokens:
                return formula
        return normalize(text_of(random.choice(self._hosts)))

    def _joined(self, random: Random, target: int) -> list[Item] | None:
        """Sides of relations from several formulas, joined until the length is about right."""
        if not self._sides or not self._relations:
            return None
        items = list(random.choice(self._sides))
        for _ in range(6):
            if _length(items) > target * 0.8:
                break
            side = random.choice(self._sides)
            if _length(items) + _length(side) > target * 1.2:
                continue
            items = [*_without_end(items), *random.choice(self._relations), *side]
        return items

    def _exchanged(self, items: list[Item], random: Random, room: list[int]) -> list[Item]:
        """A copy in which some slots hold the content of like slots; ``room`` tokens may be added."""
        copy: list[Item] = []
        for item in items:
            if isinstance(item, str):
                copy.append(item)
                continue
            contents = self._contents.get(item.slot)
            if contents and random.random() < self.exchange:
                new = random.choice(contents)
                growth = _length(new) - _length(item.items)
                if growth <= max(room[0], 0):
                    room[0] -= growth
                    copy.append(replace(item, items=new))
                    continue
            copy.append(replace(item, items=self._exchanged(item.items, random, room)))
        return copy


def vary(formula: str, random: Random) -> str:
    """The formula in normal form with symbols renamed; unchanged where it cannot be parsed.

    Chemistry comes back as it is written, with other elements and numbers.
    """
    if r"\ce" in formula:
        return vary_chemistry(formula, random)
    formula = normalize(formula)
    try:
        return normalize(text_of(_renamed(parse(formula), random)))
    except Unparsable:
        return formula


def _has_bare(items: list[Item]) -> bool:
    """Whether something that holds only in its place, such as ``&``, stands at the top level."""
    return any(item in _BARE for item in items if isinstance(item, str))


def _length(items: list[Item]) -> int:
    return sum(1 for _ in tokens_of(items))


def _split(items: list[Item]) -> tuple[list[list[Item]], list[list[Item]]]:
    """Cut at top-level relations and separators: the sides, and what stands between them."""
    sides: list[list[Item]] = [[]]
    relations: list[list[Item]] = []
    for position, item in enumerate(items):
        if isinstance(item, str) and item in _CUTS:
            if item == r"\stackrel":
                return [items], []
            previous = items[position - 1] if position else None
            if relations and not sides[-1] and isinstance(previous, str):
                relations[-1].append(item)
            else:
                relations.append([item])
                sides.append([])
        else:
            sides[-1].append(item)
    good = [side for side in sides if side and side[0] not in ("_", "^") and _balanced(side)]
    return good, relations


def _balanced(items: list[Item]) -> bool:
    """Whether there are as many opening as closing brackets, so that the side can move elsewhere."""
    return all(items.count(left) == items.count(right) for left, right in ("()", "[]"))


def _without_end(items: list[Item]) -> list[Item]:
    """Without the punctuation that ends a formula."""
    end = len(items)
    while end > 1 and items[end - 1] in (".", ",", ";", r"\,", "~", r"\ ", r"\;", r"\quad"):
        end -= 1
    return items[:end]


def _renamed(items: list[Item], random: Random) -> list[Item]:
    """Symbols renamed within their class, each name for the whole formula; digits one by one."""
    names: dict[str, str] = {}

    def rename(token: str) -> str:
        kind = CLASS_OF.get(token)
        if kind is None:
            return token
        if kind is DIGITS:
            return random.choice(DIGITS.members) if random.random() < kind.renamed else token
        if token not in names:
            renamed = random.random() < kind.renamed
            names[token] = random.choice(kind.members) if renamed else token
        return names[token]

    def walk(items: list[Item]) -> list[Item]:
        copy: list[Item] = []
        for item in items:
            if isinstance(item, str):
                copy.append(rename(item))
            elif item.slot in _WORDS or item.slot == "columns":
                copy.append(item)
            else:
                copy.append(replace(item, items=walk(item.items)))
        return copy

    return walk(items)
