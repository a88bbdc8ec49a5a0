"""The answer inside a model's response, and the two forms in which it is given."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from texlens.latex import formula_of, normalize, tokenize
from texlens.latex.compact import compact
from texlens.latex.formula import strip
from texlens.metrics.text.answers import has_loop
from texlens.records import Reading

_OPEN = re.compile("<answer>", re.IGNORECASE)
_CLOSE = re.compile("</answer>", re.IGNORECASE)

AnswerFormat = Literal["plain", "think_answer"]


def parse_answer(response: str, form: AnswerFormat) -> str | None:
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


def parse_response(
    response: str, form: AnswerFormat, *, is_finished: bool, is_loop: bool = False
) -> tuple[str, tuple[str, ...]]:
    """The formula in a response, and the warnings that follow from the response alone."""
    answer = parse_answer(response, form)
    latex = formula_of(answer or "")
    warnings = {
        "unfinished": not is_finished,
        "loop": is_loop or has_loop(tokenize(latex)),
        "no_answer": answer is None,
    }
    return latex, tuple(code for code, is_given in warnings.items() if is_given)


def in_both_forms(reading: Reading) -> Reading:
    """The reading whose `latex` is as the model wrote it, with the compact and the normal form."""
    return replace(reading, latex=compact(reading.latex), normal=normalize(reading.latex))
