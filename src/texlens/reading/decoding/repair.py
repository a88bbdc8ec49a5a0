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
_OPENING = ("(", "[", "\\{", "\\langle", "\\lfloor", "\\lceil", "|", "\\|")
_CLOSING = (")", "]", "\\}", "\\rangle", "\\rfloor", "\\rceil", "|", "\\|")
# Delimiters as large as what they enclose, and the plain ones.
_PLAIN = {f"\\left{one}": one for one in _OPENING} | {f"\\right{one}": one for one in _CLOSING}
_SCRIPTS = ("_", "^")
_STRUCTURE = ("{", "}", *_SCRIPTS, "&", "\\\\", *_PLAIN, "\\left.", "\\right.")
_BEFORE_A_PART = ("{", "&", "\\\\", "=")  # what `\left.` may follow


class _Attempt(NamedTuple):
    """An edited answer.

    Attributes:
        cost: in nats, of all its edits.
        number: of the attempt, in the order in which they were made.
        tokens: with the edits.
        steps: of each token, the step of the original answer at which it stands.
        progress: the steps of the original that parsed before the last edit.
    """

    cost: float
    number: int
    tokens: list[int]
    steps: list[int]
    progress: int


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

    def repairs(self, answer: Completion, most: int) -> list[tuple[int, ...]]:
        """Up to `most` formulas near an answer that does not parse, the likeliest first."""
        found: list[tuple[int, ...]] = []
        numbers, length = count(), len(answer.tokens)
        queue = [_Attempt(0.0, next(numbers), list(answer.tokens), list(range(length)), -1)]
        seen: set[tuple[int, ...]] = set()
        while queue and len(found) < most and len(seen) < _MOST_ATTEMPTS:
            attempt = heapq.heappop(queue)
            tokens = tuple(attempt.tokens)
            if tokens in seen:
                continue
            seen.add(tokens)
            parsed, is_whole = self._constraint.parse(tokens)
            if is_whole:
                found.append(tokens)
                continue
            progress = attempt.steps[parsed] if parsed < len(tokens) else length
            if progress <= attempt.progress:
                continue
            for place, cost, removed, inserted in self._edits(attempt, parsed, answer):
                step = attempt.steps[place] if place < len(tokens) else length
                edited = _Attempt(
                    attempt.cost + cost,
                    next(numbers),
                    _spliced(attempt.tokens, place, removed, inserted),
                    _spliced(attempt.steps, place, removed, [step] * len(inserted)),
                    progress,
                )
                heapq.heappush(queue, edited)
        return found

    def _edits(
        self, attempt: _Attempt, parsed: int, answer: Completion
    ) -> Iterator[tuple[int, float, int, list[int]]]:
        """Edits at or before the first token that does not parse.

        An edit is its place, its cost, the number of tokens removed, and those inserted.
        """
        texts = [self._texts[token] for token in attempt.tokens]
        ends = [text.replace("\\begin", "\\end") for text in texts if text.startswith("\\begin{")]
        closers = ("}", "\\right.", *self._ends.intersection(ends))
        if parsed == len(texts):
            closing = self._constraint.closing(attempt.tokens)
            yield parsed, self._cost(answer, len(answer.tokens), closing[0]), 0, closing
        for place, text in enumerate(texts[: parsed + 1]):
            before = texts[place - 1] if place else "{"
            step = attempt.steps[place]
            replaced = [(1, (other,)) for other in _twins(text)]
            scripted = [(0, ("{", "}"))] if text in _SCRIPTS else []
            closed = [(0, (closer,)) for closer in closers] if before != "{" else []
            opened = [(0, ("\\left.",))] if before in _BEFORE_A_PART else []
            for removed, pieces in (*replaced, *scripted, *closed, *opened):
                if all(piece in self._ids for piece in pieces):
                    tokens = [self._ids[piece] for piece in pieces]
                    yield place, self._cost(answer, step, tokens[0]), removed, tokens
            if place == parsed or text in _STRUCTURE or text.startswith(("\\begin{", "\\end{")):
                # What the model would have written in its place is not known, only how likely
                # it was that it wrote something else.
                likely = -math.expm1(min(answer.logprobs[step], 0.0))
                yield place, -math.log(max(likely, 1e-9)), 1, []

    def _cost(self, answer: Completion, step: int, token: int) -> float:
        """In nats, of writing this token at a step of the original answer."""
        column = self._columns.get(token)
        return 10.0 if column is None else -float(answer.watched[step, column])


def _twins(text: str) -> Iterator[str]:
    """The plain form of a large delimiter, or the large forms of a plain one."""
    if text in _PLAIN:
        yield _PLAIN[text]
    else:
        yield from (large for large, plain in _PLAIN.items() if plain == text)


def _spliced(values: list[int], place: int, removed: int, inserted: list[int]) -> list[int]:
    return [*values[:place], *inserted, *values[place + removed :]]
