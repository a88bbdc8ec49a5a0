"""Whether LaTeX is valid: matching braces, and KaTeX's parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from texlens.latex.formula import formula_of

# An escaped character, a comment, a brace; none of them continues on the next line.
_BRACE = re.compile(r"\\[^\n]|%[^\n]*|[{}]")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of checking one formula.

    `position` counts characters of the text as it was given, from 0; None where it is not known.
    """

    ok: bool
    braces: bool
    katex: bool
    message: str = ""
    position: int | None = None


def braces_balanced(text: object) -> bool:
    """The brace heuristic of the GRPO report (Small Model, Big Equations).

    False for a text that is empty or not a string. A comment ends a line; a backslash escapes the
    character after it, within the line. Of the other braces none may close before one is open, and
    none may be open at the end.
    """
    if not isinstance(text, str) or not text:
        return False
    depth = 0
    for match in _BRACE.finditer(text):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth < 0:
            return False
    return depth == 0


def katex_valid(answers: Sequence[str]) -> list[bool]:
    """Whether KaTeX parses the formula of each answer (`formula_of`); an empty one is not valid."""
    return [result.katex for result in check(answers)]


@overload
def check(answers: str) -> Check: ...  # type: ignore[overload-overlap]
@overload
def check(answers: Sequence[str]) -> list[Check]: ...
def check(answers: str | Sequence[str]) -> Check | list[Check]:
    """Check an answer, or each of a sequence: whether it is valid, and where it is not.

    `ok` if the braces match and KaTeX parses the formula (`formula_of`). Raises TypeError for what is
    no text.
    """
    if isinstance(answers, str):
        (result,) = check([answers])
        return result
    if isinstance(answers, bytes) or not isinstance(answers, Sequence):
        raise TypeError(f"answers must be a text, or several, not {type(answers).__name__}.")
    for place, answer in enumerate(answers):
        if not isinstance(answer, str):
            raise TypeError(f"answers[{place}] must be a text, not {type(answer).__name__}.")
    from texlens.engine import get_engine

    formulas = [formula_of(answer) for answer in answers]
    results = []
    for answer, formula, failure in zip(
        answers, formulas, get_engine().parse(formulas), strict=True
    ):
        braces = braces_balanced(answer)
        katex = bool(formula) and failure is None
        message, position = "", None
        if not formula:
            message = "The formula is empty."
        elif failure is not None:
            message, position = failure.message, _position(answer, formula, failure.position)
        elif not braces:
            message = "The braces do not match (a comment may hide one)."
        results.append(Check(braces and katex, braces, katex, message, position))
    return results


def _position(answer: str, formula: str, utf16_units: int | None) -> int | None:
    """Where in the answer a position of its formula is; None where what precedes it was changed.

    JavaScript counts a character beyond U+FFFF as two, Python as one.
    """
    if utf16_units is None:
        return None
    before = formula.encode("utf-16-le", "surrogatepass")[: 2 * utf16_units]
    characters = len(before.decode("utf-16-le", "ignore"))
    start = answer.find(formula[: characters + 1])
    return None if start < 0 else start + characters
