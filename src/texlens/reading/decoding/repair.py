r"""Repairing an answer that does not parse, where the model itself was in doubt.

Whoever forgets a brace may be right about all the rest. So the edits here are of what holds a
formula together (braces, `\left` and `\right`, environments, scripts), as few and as likely as can
be found: the probability that the model gave to the edit at its place is what an edit costs.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from texlens.reading.decoding.constraints import Constraint
from texlens.reading.decoding.generation import Completion

_MOST_ATTEMPTS = 400  # attempts to parse one answer
_MOST_BEHIND = 4.0  # nats by which a repair may cost more than the cheapest
_OPENING = ("(", "[", "\\{", "\\langle", "\\lfloor", "\\lceil", "|", "\\|")
_CLOSING = (")", "]", "\\}", "\\rangle", "\\rfloor", "\\rceil", "|", "\\|")
# Delimiters as large as what they enclose, and the plain ones.
_PLAIN = {f"\\left{one}": one for one in _OPENING} | {f"\\right{one}": one for one in _CLOSING}
# The plain form of a large delimiter, and the large forms of a plain one.
_TWINS = {large: (plain,) for large, plain in _PLAIN.items()} | {
    plain: tuple(large for large in _PLAIN if _PLAIN[large] == plain) for plain in _PLAIN.values()
}
_SCRIPTS = ("_", "^")
_STRUCTURE = ("{", "}", *_SCRIPTS, "&", "\\\\", *_PLAIN, "\\left.", "\\right.")
_BEFORE_A_PART = ("{", "&", "\\\\", "=")  # what `\left.` may follow


class Repair(NamedTuple):
    """A formula near an answer, and what its edits cost in nats."""

    cost: float
    tokens: tuple[int, ...]


class _Answer(NamedTuple):
    """An edited answer.

    Attributes:
        steps: of each token, the step of the original answer at which it stands.
        progress: the steps of the original that parsed before the last edit.
    """

    tokens: list[int]
    steps: list[int]
    progress: int


class _Edit(NamedTuple):
    """Tokens that take the place of others; `step` is the one of the original answer."""

    cost: float
    place: int
    step: int
    removed: int = 0
    inserted: tuple[int, ...] = ()

    def apply(self, answer: _Answer, progress: int) -> _Answer:
        tokens, steps = answer.tokens, answer.steps
        first, last = self.place, self.place + self.removed
        return _Answer(
            [*tokens[:first], *self.inserted, *tokens[last:]],
            [*steps[:first], *[self.step] * len(self.inserted), *steps[last:]],
            progress,
        )


class Repairer:
    """Finds edits that make answers parse.

    Attributes:
        watched: the tokens whose probability it needs at every step (`DecodingConfig.watched`).
    """

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._texts = [text.strip() for text in constraint.texts]
        ids = {text: token for token, text in enumerate(constraint.texts)}
        self._ids = {text: ids.get(f" {text}", ids.get(text, 0)) for text in self._texts if text}
        self._ends = {text for text in self._ids if text.startswith("\\end{")}
        inserted = (*_PLAIN, *_PLAIN.values(), "{", "}", "\\left.", "\\right.", *self._ends)
        self.watched = tuple(sorted({self._ids[text] for text in inserted if text in self._ids}))
        self._columns = {token: column for column, token in enumerate(self.watched)}

    def repairs(self, answer: Completion, most: int) -> list[Repair]:
        """Up to `most` formulas near an answer that does not parse, the likeliest first."""
        found: list[Repair] = []
        length = len(answer.tokens)
        start = _Answer(list(answer.tokens), list(range(length)), -1)
        # Edits to try: their cost with that of the edits before them, a number to tell equals
        # apart, the answer before the edit, how far that parsed, the edit.
        queue: list[tuple[float, int, _Answer, int, _Edit]] = []
        numbers, seen = count(), set[tuple[int, ...]]()
        cost, edited = 0.0, start
        for _ in range(_MOST_ATTEMPTS):
            tokens = tuple(edited.tokens)
            if tokens not in seen:
                seen.add(tokens)
                parsed, is_whole = self._constraint.parse(tokens)
                progress = edited.steps[parsed] if parsed < len(tokens) else length
                if is_whole:
                    found.append(Repair(cost, tokens))
                elif progress > edited.progress:
                    for edit in self._edits(edited, parsed, answer):
                        item = (cost + edit.cost, next(numbers), edited, progress, edit)
                        heapq.heappush(queue, item)
            if not queue or len(found) == most:
                break
            cost, _number, before, progress, edit = heapq.heappop(queue)
            if found and cost > found[0].cost + _MOST_BEHIND:
                break
            edited = edit.apply(before, progress)
        return found

    def _edits(self, edited: _Answer, parsed: int, answer: Completion) -> Iterator[_Edit]:
        """Edits at or before the first token that does not parse."""
        texts = [self._texts[token] for token in edited.tokens]
        ends = [text.replace("\\begin", "\\end") for text in texts if text.startswith("\\begin{")]
        closers = [(closer,) for closer in ("}", "\\right.", *self._ends.intersection(ends))]
        if parsed == len(texts):
            step, closing = len(answer.tokens), self._constraint.closing(edited.tokens)
            yield _Edit(self._cost(answer, step, closing[0]), parsed, step, 0, tuple(closing))
        for place, text in enumerate(texts[: parsed + 1]):
            before, step = texts[place - 1] if place else "{", edited.steps[place]
            inserted: list[tuple[str, ...]] = [("{", "}")] if text in _SCRIPTS else []
            inserted += closers if before != "{" else []
            inserted += [("\\left.",)] if before in _BEFORE_A_PART else []
            changes = [(0, pieces) for pieces in inserted]
            changes += [(1, (twin,)) for twin in _TWINS.get(text, ())]
            for removed, pieces in changes:
                if all(piece in self._ids for piece in pieces):
                    tokens = tuple(self._ids[piece] for piece in pieces)
                    cost = self._cost(answer, step, tokens[0])
                    yield _Edit(cost, place, step, removed, tokens)
            if place == parsed or text in _STRUCTURE or text.startswith(("\\begin{", "\\end{")):
                # What the model would have written in its place is not known, only how likely
                # it was that it wrote something else.
                likely = -math.expm1(min(answer.logprobs[step], 0.0))
                yield _Edit(-math.log(max(likely, 1e-9)), place, step, 1)

    def _cost(self, answer: Completion, step: int, token: int) -> float:
        """In nats, of writing this token at a step of the original answer."""
        column = self._columns.get(token)
        return 10.0 if column is None else -float(answer.watched[step, column])
