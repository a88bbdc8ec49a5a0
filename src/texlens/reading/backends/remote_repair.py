"""Repairs of a server's answer that does not parse, by the tokeniser in the model's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from texlens.errors import InputError
from texlens.model.small_tokenizer import SmallTokenizer
from texlens.reading.decoding.generation import Completion
from texlens.records import Token

ALTERNATIVES = 20
"""The tokens a step that a server is asked for: the most that OpenAI's API and vLLM allow."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer, and the log-probabilities of the likeliest tokens in its place."""

    token: Token
    alternatives: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RepairedAnswer:
    """An answer that parses, and what its edits cost in nats."""

    cost: float
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        """The answer's text."""
        return "".join(token.text for token in self.tokens)


class AnswerRepairer:
    """Finds the likeliest repair of a small model's answers (`decoding.repair`)."""

    def __init__(self, folder: Path) -> None:
        from texlens.reading.decoding.constraints import Constraint
        from texlens.reading.decoding.repair import Repairer

        tokenizer = SmallTokenizer.from_folder(folder)
        texts = [tokenizer.decode([token]) for token in range(tokenizer.size)]
        ends = [token for token, text in enumerate(texts) if not text]
        self._repairer = Repairer(Constraint(texts, ends[:1]))
        self._texts = texts
        self._ids = {text: token for token, text in enumerate(texts) if text}
        self._columns = {texts[token]: n for n, token in enumerate(self._repairer.watched)}

    def repaired(self, steps: Sequence[Step]) -> RepairedAnswer | None:
        """The likeliest repair of an answer, whose last step is that of its end token."""
        texts = [step.token.text for step in steps[:-1]]
        if not texts or any(text not in self._ids for text in texts):
            return None
        watched = np.empty((len(steps), len(self._columns)), np.float32)
        for row, step in zip(watched, steps, strict=True):
            row[:] = min(step.alternatives.values(), default=step.token.logprob)  # at most
            for text, logprob in step.alternatives.items():
                if (column := self._columns.get(text)) is not None:
                    row[column] = logprob
        tokens = tuple(self._ids[text] for text in texts)
        logprobs = tuple(step.token.logprob for step in steps)
        repairs = self._repairer.repairs(Completion(tokens, logprobs, watched=watched), 1)
        if not repairs:
            return None
        cost, repaired = repairs[0]
        return RepairedAnswer(cost, self._with_logprobs(tokens, logprobs, repaired, cost))

    def _with_logprobs(
        self, before: Sequence[int], logprobs: Sequence[float], after: Sequence[int], cost: float
    ) -> tuple[Token, ...]:
        """The repaired tokens: those that stayed with their own probability, others with the edits'."""
        values = [-cost] * len(after)
        for old, new, size in SequenceMatcher(None, before, after, False).get_matching_blocks():
            values[new : new + size] = logprobs[old : old + size]
        return tuple(
            Token(self._texts[token], value) for token, value in zip(after, values, strict=True)
        )


def repairer_for(folder: Path | None) -> AnswerRepairer | None:
    """The repairer for a model's folder; None where it holds no tokeniser of a small model."""
    try:
        return None if folder is None else AnswerRepairer(folder)
    except InputError:
        return None
