"""Whether LaTeX is valid: matching braces, and KaTeX's parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from texlens.latex.formula import formula_of

# What a backslash hides, a comment, a brace; none of them reaches over the end of a line.
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
    """The published brace heuristic: do the braces of a text match?

    False for what is no string, or empty. Each line is cut at its first per cent sign that no
    active backslash precedes; a backslash hides the character after it, within the line. Then no
    brace may close before one is open, and none may be left open at the end.
    """
    if not isinstance(text, str) or not text:
        return False
    depth = 0
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def katex_valid(formulas: Sequence[str]) -> list[bool]:
    """Whether KaTeX parses the formula of each answer (`formula_of`); an empty one is not valid."""
    return [check_.katex for check_ in check(formulas)]


def check(formulas: Sequence[str]) -> list[Check]:
    """Check answers: `ok` if the braces match and KaTeX parses the formula (`formula_of`)."""
    from texlens.engine import get_engine

    inner = [formula_of(formula) for formula in formulas]
    failures = get_engine().parse(inner)
    results = []
    for formula, text, failure in zip(formulas, inner, failures, strict=True):
        braces = braces_balanced(formula)
        if not text:
            results.append(Check(False, braces, False, "The formula is empty."))
        elif failure is not None:
            position = _position(formula, text, failure.position)
            results.append(Check(False, braces, False, failure.message, position))
        elif not braces:
            message = "The braces do not match (a comment may hide one)."
            results.append(Check(False, False, True, message))
        else:
            results.append(Check(True, True, True))
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
