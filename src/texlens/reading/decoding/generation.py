"""Generating the answers of a batch token by token, the same way for all backends.

A backend computes the probabilities. The next token, and whether an answer is complete, are decided
here: constrained decoding, sampling, loops, the limit on the length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from texlens.metrics.text.answers import has_loop
from texlens.workers import heartbeat

if TYPE_CHECKING:
    from texlens.reading.decoding.constraints import Constraint

Floats = npt.NDArray[np.float32]
Cut = Literal["limit", "loop"]

_LOOP_CHECK = 4  # tokens from one check for a loop to the next
_COMPACT_BELOW = 0.8  # finished rows leave the batch when fewer than this share are still running


@dataclass(frozen=True, slots=True)
class DecodingConfig:
    """How answers are generated.

    Attributes:
        constraint: the grammar that they must follow; None for any text.
        temperature: 0 for the likeliest token; else tokens are sampled from the probabilities to
            the power of 1 / temperature.
        seed: of the sampling, the same for every answer of a batch.
        cut_loops: whether an answer ends where it repeats itself.
        watched: tokens whose log-probabilities are recorded at every step.
        scripts: for each picture an answer, without end token, whose log-probabilities are wanted,
            or None for one to generate; empty to generate all.
        by_model: decode by the model's own generation configuration instead, with `seed` alone of
            these settings: only torch can.
    """

    constraint: Constraint | None = None
    temperature: float = 0.0
    seed: int = 0
    cut_loops: bool = True
    watched: tuple[int, ...] = ()
    scripts: tuple[tuple[int, ...] | None, ...] = ()
    by_model: bool = False


GREEDY = DecodingConfig()


@dataclass(frozen=True, slots=True)
class Completion:
    """The tokens generated for one picture, without the end token.

    Attributes:
        logprobs: of each token, and of the end token where the model wrote one.
        cut: why the answer ended where the model would have gone on.
        watched: the log-probabilities (steps, tokens) of `DecodingConfig.watched`.
        prompt_tokens: the number of tokens before the answer, text and visual.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    cut: Cut | None = None
    watched: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32), compare=False)
    prompt_tokens: int = 0

    @property
    def finished(self) -> bool:
        """Whether the model itself ended the answer."""
        return self.cut is None and len(self.logprobs) > len(self.tokens)

    @property
    def confidence(self) -> float:
        """The geometric mean of the tokens' probabilities, the end token included (0..1).

        Unlike their product it does not fall with the length of a formula.
        """
        return math.exp(sum(self.logprobs) / len(self.logprobs)) if self.logprobs else 0.0


class _Sequence:
    """One answer while it is generated."""

    def __init__(
        self,
        config: DecodingConfig,
        max_new_tokens: int,
        end_tokens: tuple[int, ...],
        script: tuple[int, ...] | None,
    ) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.cut: Cut | None = None
        self.is_done = False
        self.left = max_new_tokens
        self.temperature = config.temperature
        self.cut_loops = config.cut_loops
        self.random = np.random.default_rng(config.seed) if config.temperature else None
        self.constrained = config.constraint.begin(max_new_tokens) if config.constraint else None
        self.end_tokens = end_tokens
        self.script = script
        self.watched: list[Floats] = []
        self.is_closing = False

    def accepts(self, token: int) -> bool:
        """Whether the likeliest token is the one to take."""
        if self.script is not None:
            return token == self._scripted()
        return self.random is None and (self.constrained is None or self.constrained.advance(token))

    def choose(self, logprobs: Floats) -> int:
        """The best allowed token, or a sampled one, from the log-probabilities (vocabulary)."""
        if self.script is not None:
            return self._scripted()
        values = logprobs.astype(np.float64)
        if self.random is not None:  # the maximum with Gumbel noise is a sample
            values = values / self.temperature + self.random.gumbel(size=len(values))
        token = int(values.argmax())
        if self.constrained is None:
            return token
        if token in self.end_tokens:  # it would end: what is open is closed, nothing is added
            self.is_closing = True
            self.constrained.close_now()
        return self.constrained.advance_to_best(values)

    def _scripted(self) -> int:
        assert self.script is not None
        place = len(self.tokens)
        return self.script[place] if place < len(self.script) else self.end_tokens[0]

    def append(self, token: int, logprob: float, *, is_end: bool) -> None:
        """Take a token, and see whether the answer ends here."""
        self.logprobs.append(logprob)
        self.left -= 1
        if is_end:
            self.is_done = True
            return
        self.tokens.append(token)
        if self.script is not None or self.is_closing:
            return
        if self.constrained.must_close if self.constrained else self.left <= 0:
            self.cut = self.cut or "limit"
        elif self.cut_loops and len(self.tokens) % _LOOP_CHECK == 0 and has_loop(self.tokens):
            self.cut = "loop"
            if self.constrained is not None:
                self.constrained.close_now()
        self.is_done = self.left <= 0 or (self.cut is not None and self.constrained is None)


class GenerationBatch:
    """The answers of one batch while they are generated.

    An answer is cut where it repeats itself (`metrics.text.answers.has_loop`, on tokens) and at
    `max_new_tokens`, which counts the end token; a constrained answer first closes what is open.
    `rows` holds the numbers of the answers that are still in the batch.
    """

    def __init__(
        self, count: int, config: DecodingConfig, *, end_tokens: Sequence[int], max_new_tokens: int
    ) -> None:
        ends = tuple(end_tokens)
        self._end_tokens = frozenset(ends)
        scripts = config.scripts or (None,) * count
        self._sequences = [_Sequence(config, max_new_tokens, ends, script) for script in scripts]
        self._watched = list(config.watched)
        self.rows = list(range(count))

    @property
    def done(self) -> list[bool]:
        """Of each row, whether its answer is complete."""
        return [self._sequences[row].is_done for row in self.rows]

    def append(
        self,
        likeliest: Sequence[int],
        logprobs: Sequence[float],
        logprobs_of_row: Callable[[int], Floats],
    ) -> list[int]:
        """Append one token to each row, and return these tokens.

        Args:
            likeliest: each row's likeliest token.
            logprobs: the natural logarithms of their probabilities.
            logprobs_of_row: gives those of a row's whole vocabulary, where they are needed.

        Raises:
            JobCancelled: this is a job in a worker, and nobody waits for the answers any more.
        """
        heartbeat()
        chosen = list(likeliest)
        for place, row in enumerate(self.rows):
            sequence = self._sequences[row]
            if sequence.is_done:
                continue
            token, logprob = likeliest[place], logprobs[place]
            if self._watched:
                sequence.watched.append(logprobs_of_row(place)[self._watched])
            if not sequence.accepts(token):
                every = logprobs_of_row(place)
                token = sequence.choose(every)
                logprob = float(every[token])
            chosen[place] = token
            sequence.append(token, logprob, is_end=token in self._end_tokens)
        return chosen

    def drop_finished(self) -> list[int] | None:
        """Drop complete answers once that is worth it. Returns the places of the rows kept."""
        kept = [place for place, is_done in enumerate(self.done) if not is_done]
        if len(kept) >= _COMPACT_BELOW * len(self.rows):
            return None
        self.rows = [self.rows[place] for place in kept]
        return kept

    def completions(self) -> list[Completion]:
        """All answers, in the order in which they entered the batch."""
        return [
            Completion(tuple(s.tokens), tuple(s.logprobs), s.cut, np.array(s.watched))
            for s in self._sequences
        ]


def generate(
    batch: GenerationBatch,
    logits: Any,
    cache: Any,
    positions: Any,
    *,
    next_tokens: Callable[[GenerationBatch, Any], Any],
    step: Callable[[Any, Any, Any], Any],
) -> list[Completion]:
    """Generate until every answer is complete; arrays are those of the backend.

    Args:
        batch: the answers, empty so far.
        logits: of the first token, (rows, vocabulary).
        cache: the keys and values of the prompts; its `keep` drops all rows but those named.
        positions: of the first token, (rows).
        next_tokens: appends the next tokens to the batch, from the logits, and returns them (rows).
        step: the logits after these tokens (rows) at these positions (rows).
    """
    while True:
        tokens = next_tokens(batch, logits)
        if all(batch.done):
            return batch.completions()
        if (kept := batch.drop_finished()) is not None:
            cache.keep(kept)
            tokens, positions = tokens[kept], positions[kept]
        logits = step(tokens, positions, cache)
        positions = positions + 1
