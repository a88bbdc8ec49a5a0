"""What a model answered: the tokens it wrote, and the LaTeX inside its response."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from texlens.latex.formula import strip

_OPEN = re.compile("<answer>", re.IGNORECASE)
_CLOSE = re.compile("</answer>", re.IGNORECASE)


Cut = Literal["limit", "loop"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The tokens written for one picture, without the end token.

    `logprobs` has one entry more than `tokens` when the answer was ended by an end token; `cut`
    says what made it end where the model would have gone on.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    cut: Cut | None = None

    @property
    def finished(self) -> bool:
        """Whether the model itself ended the answer."""
        return self.cut is None and len(self.logprobs) > len(self.tokens)

    @property
    def confidence(self) -> float:
        """The geometric mean of the tokens' probabilities, the end token's among them (0..1).

        Unlike their product it does not fall with the length of a formula.
        """
        return math.exp(sum(self.logprobs) / len(self.logprobs)) if self.logprobs else 0.0


def parse_answer(response: str, form: Literal["plain", "think_answer"]) -> str | None:
    r"""The answer in a response, stripped; None when the form asks for tags and they are missing.

    A space that belongs to a last `\ ` stays.

    `think_answer`: the last `<answer>...</answer>`, whatever its case; a pair is an opening tag and
    the first closing tag after it, as the expression `<answer>.*?</answer>` finds them. `plain`:
    all of it.
    """
    if form == "plain":
        return strip(response)
    answer = None
    # One search after the other: the expression takes quadratic time where tags are never closed.
    end = 0
    while (opened := _OPEN.search(response, end)) and (
        closed := _CLOSE.search(response, opened.end())
    ):
        answer = strip(response[opened.end() : closed.start()])
        end = closed.end()
    return answer
