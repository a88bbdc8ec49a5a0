"""Whether LaTeX is valid: the published brace heuristic, and KaTeX's parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from texlens.latex.wrappers import unwrap

# What a backslash hides, a comment, a brace; none of them reaches over the end of a line.
_BRACE = re.compile(r"\\[^\n]|%[^\n]*|[{}]")


@dataclass(frozen=True, slots=True)
class Check:
    """What there is to say of one formula.

    `position` counts characters of the text as it was given, from 0; None if there is no place.
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
    """Whether KaTeX parses each formula, math wrappers (`$`, ...) taken off; empty ones are not."""
    return [check_.katex for check_ in check(formulas)]


def check(formulas: Sequence[str]) -> list[Check]:
    """Check each formula: `ok` if its braces match and KaTeX parses it without its wrappers."""
    from texlens.engine import get_engine

    inner = [unwrap(formula) for formula in formulas]
    failures = get_engine().parse(inner)
    results = []
    for formula, text, failure in zip(formulas, inner, failures, strict=True):
        braces = braces_balanced(formula)
        if not text:
            results.append(Check(False, braces, False, "The formula is empty."))
        elif failure is not None:
            position = failure.position
            if position is not None:
                position = formula.find(text) + _characters(text, position)
            results.append(Check(False, braces, False, failure.message, position))
        elif not braces:
            message = "The braces do not match (a comment may hide one)."
            results.append(Check(False, False, True, message))
        else:
            results.append(Check(True, True, True))
    return results


def _characters(text: str, utf16_units: int) -> int:
    """JavaScript counts a character beyond U+FFFF as two; Python as one."""
    units = 0
    for position, character in enumerate(text):
        if units >= utf16_units:
            return position
        units += 2 if character > "\uffff" else 1
    return len(text)
