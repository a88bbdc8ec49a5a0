"""What a rewrite rule is, and the list in which all of them register."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from texlens.latex import detokenize

Tokens = list[str]
Rewrite = Callable[[Tokens, Random], "Tokens | str | None"]


@dataclass(frozen=True)
class Rule:
    """One rewrite; `keeps` says whether the picture stays the same to a reader."""

    name: str
    keeps: bool
    rewrite: Rewrite

    def apply(self, tokens: Sequence[str], rng: Random) -> str | None:
        """The rewritten formula, None where the rule does not apply."""
        result = self.rewrite(list(tokens), rng)
        if result is None or result == list(tokens):
            return None
        return result if isinstance(result, str) else detokenize(result)


RULES: list[Rule] = []


def rule(*, keeps: bool) -> Callable[[Rewrite], Rewrite]:
    """Register a function as a rule under its own name."""

    def register(rewrite: Rewrite) -> Rewrite:
        RULES.append(Rule(rewrite.__name__.replace("_", " "), keeps, rewrite))
        return rewrite

    return register
