"""Writing the answers of a batch token by token: guarded, stopped in loops, closed at the limit.

Decoders compute probabilities; what is written next, and when an answer is done, is decided here,
the same way for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from texlens.metrics.text.answers import has_loop
from texlens.reading.answers import Answer, Cut
from texlens.reading.decoding.constraints import Guard

Floats = npt.NDArray[np.float32]

_LOOP_CHECK = 4  # tokens from one look for a loop to the next
_COMPACT_BELOW = 0.8  # ended answers leave the batch when less than this share is still running


@dataclass(frozen=True, slots=True)
class DecodingConfig:
    """How answers are written.

    `guard`: the language that they may not leave, None for any; `temperature`: 0 for the likeliest
    token, else tokens are drawn from the probabilities to the power of 1 / temperature, by `seed`.
    """

    guard: Guard | None = None
    temperature: float = 0.0
    seed: int = 0


GREEDY = DecodingConfig()


class _Draft:
    """One answer while it is written."""

    def __init__(self, decoding: DecodingConfig, max_new_tokens: int) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.cut: Cut | None = None
        self.is_done = False
        self.left = max_new_tokens
        self.place = decoding.guard.start(max_new_tokens) if decoding.guard else None
        self.chance = np.random.default_rng(decoding.seed) if decoding.temperature else None


class Drafts:
    """The answers of one batch while they are written.

    `max_new_tokens` counts the end token. A loop is stopped (`metrics.answers.has_loop`, on
    tokens), and so is an answer at the limit; under a guard both first close what is open.
    `rows` says to which answers the rows of the batch still belong.
    """

    def __init__(
        self,
        count: int,
        decoding: DecodingConfig,
        *,
        end_tokens: Sequence[int],
        max_new_tokens: int,
    ) -> None:
        self._decoding = decoding
        self._end_tokens = frozenset(end_tokens)
        self._drafts = [_Draft(decoding, max_new_tokens) for _ in range(count)]
        self.rows = list(range(count))

    @property
    def done(self) -> list[bool]:
        """For each row of the batch, whether its answer has ended."""
        return [self._drafts[row].is_done for row in self.rows]

    def write(
        self,
        likeliest: Sequence[int],
        logprobs: Sequence[float],
        logprobs_of_row: Callable[[int], Floats],
    ) -> list[int]:
        """Write one token in each row of the batch, and return these tokens.

        `likeliest` and `logprobs`: each row's likeliest token and the logarithm of its probability;
        `logprobs_of_row` gives those of a row's whole vocabulary, where they are wanted.
        """
        written = list(likeliest)
        for place, row in enumerate(self.rows):
            draft = self._drafts[row]
            if draft.is_done:
                continue
            token, logprob = likeliest[place], logprobs[place]
            if draft.chance is not None or not self._advance(draft, token):
                every = logprobs_of_row(place)
                token = self._chosen(draft, every)
                logprob = float(every[token])
                self._advance(draft, token)
            written[place] = token
            self._take(draft, token, logprob)
        return written

    def leave(self) -> list[int] | None:
        """Let ended answers leave the batch, once that is worth it: the places of the rows kept."""
        kept = [place for place, row in enumerate(self.rows) if not self._drafts[row].is_done]
        if len(kept) >= _COMPACT_BELOW * len(self.rows):
            return None
        self.rows = [self.rows[place] for place in kept]
        return kept

    def answers(self) -> list[Answer]:
        """All answers, in the order in which they entered the batch."""
        return [Answer(tuple(d.tokens), tuple(d.logprobs), d.cut) for d in self._drafts]

    def _advance(self, draft: _Draft, token: int) -> bool:
        """Bring a draft's place behind this token, unless it may not come."""
        if self._decoding.guard is None or draft.place is None:
            return True
        after = self._decoding.guard.advance(draft.place, token)
        draft.place = after or draft.place
        return after is not None

    def _chosen(self, draft: _Draft, logprobs: Floats) -> int:
        """The best token that may come, or one drawn by chance."""
        values = logprobs.astype(np.float64)
        if draft.chance is not None:  # adding such noise and taking the best is drawing (Gumbel)
            values = values / self._decoding.temperature + draft.chance.gumbel(size=len(values))
        if self._decoding.guard is not None and draft.place is not None:
            allowed = self._decoding.guard.allowed([draft.place])[0]
            values = np.where(allowed, values[: len(allowed)], -np.inf)
        return int(values.argmax())

    def _take(self, draft: _Draft, token: int, logprob: float) -> None:
        draft.logprobs.append(logprob)
        draft.left -= 1
        if token in self._end_tokens:
            draft.is_done = True
            return
        draft.tokens.append(token)
        guard, place = self._decoding.guard, draft.place
        is_at_limit = guard.is_short(place) if guard and place else draft.left <= 0
        if is_at_limit:
            draft.cut = draft.cut or "limit"
        elif len(draft.tokens) % _LOOP_CHECK == 0 and has_loop(draft.tokens):
            draft.cut = "loop"
            draft.place = guard.hurried(place) if guard and place else None
        draft.is_done = draft.left <= 0 or (draft.cut is not None and draft.place is None)
