"""Decoding whose answers parse, and are no worse for it.

The model first writes what it likes. Where that does not parse, it computes the probability of
repairs of its answer and, if none is cheap, writes another one under the grammar. The likeliest of
these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from texlens.latex import katex_valid
from texlens.reading.decoding.constraints import Constraint
from texlens.reading.decoding.generation import Completion, DecodingConfig
from texlens.reading.decoding.repair import Repairer

if TYPE_CHECKING:
    from PIL import Image

    from texlens.reading.backends.base import Backend

# Chosen on dev, where more repairs gave nothing, and an answer under the grammar was seldom likelier
# than a cheap repair.
_MOST_REPAIRS = 3  # of one answer
_CHEAP = 3.0  # nats


class Guard:
    """Constrained decoding with one backend; `max_new_tokens` are those that the backend allows."""

    def __init__(self, backend: Backend, constraint: Constraint, max_new_tokens: int) -> None:
        self._backend, self._constraint = backend, constraint
        self._max_new_tokens = max_new_tokens
        self._repairer = Repairer(constraint)

    def decode(self, pictures: Sequence[Image.Image], decoding: DecodingConfig) -> list[Completion]:
        """The answer to each picture, as `Backend.decode` gives them."""
        answers = self._backend.decode(
            pictures, replace(decoding, constraint=None, watched=self._repairer.watched)
        )
        tasks: list[tuple[int, tuple[int, ...] | None]] = []  # None: an answer under the grammar
        for place in self._faulty(answers):
            answer = answers[place]
            repairs = [] if answer.cut else self._repairer.repairs(answer, _MOST_REPAIRS)
            repairs = [one for one in repairs if len(one.tokens) < self._max_new_tokens]
            tasks += [(place, repair.tokens) for repair in repairs]
            if not repairs or repairs[0].cost > _CHEAP:
                tasks.append((place, None))
        likeliest: dict[int, Completion] = {}
        for first in range(0, len(tasks), self._backend.batch_size):
            places, scripts = zip(*tasks[first : first + self._backend.batch_size], strict=True)
            others = self._backend.decode(
                [pictures[place] for place in places],
                replace(decoding, constraint=self._constraint, scripts=scripts),
            )
            for place, other in zip(places, others, strict=True):
                if place not in likeliest or sum(other.logprobs) > sum(likeliest[place].logprobs):
                    likeliest[place] = other
        return [likeliest.get(place, answer) for place, answer in enumerate(answers)]

    def _faulty(self, answers: Sequence[Completion]) -> list[int]:
        """The places of answers that do not parse.

        The grammar is narrower than what KaTeX parses, and faster: KaTeX has the last word.
        """
        places = [
            place
            for place, answer in enumerate(answers)
            if not self._constraint.parse(answer.tokens)[1]
        ]
        valid = katex_valid([self._backend.text(answers[place].tokens) for place in places])
        return [place for place, is_valid in zip(places, valid, strict=True) if not is_valid]
