"""How answers are sampled, whatever samples them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are sampled: the temperature, where they end, and tokens that never occur.

    `top_p`: out of the likeliest tokens that together have this probability; 1 for all.
    """

    temperature: float
    max_new_tokens: int
    end_tokens: tuple[int, ...]
    forbidden_tokens: tuple[int, ...] = ()
    top_p: float = 1.0


def up_to_end(tokens: list[int], end_tokens: Sequence[int]) -> list[int]:
    """The tokens of an answer without what follows its end token."""
    ends = [place for place, token in enumerate(tokens) if token in end_tokens]
    return tokens[: ends[0] + 1] if ends else tokens
