"""Decoding whose answers parse, and are no worse for it.

The model first writes what it likes. Only where that does not parse, it is asked to choose between
repairs of its answer and an answer under the grammar: the likeliest counts.
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

_MOST_REPAIRS = 3  # of one answer; more gave nothing on dev


class Guard:
    """Constrained decoding with one backend."""

    def __init__(self, backend: Backend, constraint: Constraint) -> None:
        self._backend, self._constraint = backend, constraint
        self._repairer = Repairer(constraint)

    def decode(self, pictures: Sequence[Image.Image], decoding: DecodingConfig) -> list[Completion]:
        """The answer to each picture, as `Backend.decode` gives them."""
        answers = self._backend.decode(pictures, replace(decoding, watched=self._repairer.watched))
        tasks: list[tuple[int, tuple[int, ...] | None]] = []
        for place in self._faulty(answers):
            repairs = (
                [] if answers[place].cut else self._repairer.repairs(answers[place], _MOST_REPAIRS)
            )
            tasks += [(place, tokens) for tokens in (*repairs, None)]
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
