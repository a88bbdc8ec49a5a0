r"""What a formula may cost, in counts that are the same on every machine.

Time decides nothing: a formula within these limits takes at most a few seconds, and the 60 seconds
after which the engine stops it are only for a bug. The limits are far above what people write: the
longest formula of im2latex-100k has 6,000 characters, and its deepest is nested 7 deep.
"""

from __future__ import annotations

import re
from typing import Final

from texlens.engine.boxes import Drawing, Failure

LIMITS_REVISION: Final = 1
"""Increased with every change of a limit: metrics have it in their signatures."""

MAX_CHARACTERS: Final = 20_000
"""Of a formula, without the `\\mathcolor{#rrggbb}{` that `cdm` writes before every token."""
MAX_NESTING: Final = 100
"""Groups, environments, `\\left`, and switches such as `\\color{red}`, which nest until their end.

MathJax's stack ends somewhat above; where exactly depends on what it compiled before.
"""
MAX_GLYPHS: Final = 3_000
"""Pieces of ink in a drawing: comparing two costs up to the cube of that."""

_COLOUR: Final = re.compile(r"\\mathcolor\{#[0-9a-f]{6}\}\{")
_NESTING: Final = re.compile(
    r"\\(?:(?P<open>begin|left)|(?P<close>end|right)|(?P<switch>color|rm|bf|it|sf|tt|cal|mit|sl|sc|"
    r"(?:display|text|script|scriptscript)style|tiny|scriptsize|footnotesize|small|normalsize|"
    r"large|Large|LARGE|huge|Huge))(?![A-Za-z])|\\.|[{}&]",
    re.DOTALL,
)
# Messages of MathJax and KaTeX at limits of their own, which count too: replacements of macros, the
# text they make, columns. The last is that of a stack that overflowed.
_OWN_LIMITS: Final = re.compile(
    "maximum macro substitution|buffer size exceeded|Too many expansions|"
    "Too many column specifiers|nested too deeply"
)


def over_limit(formula: str) -> Failure | None:
    """The failure of a formula that is too long or nested too deep; None for any other."""
    if len(formula) > MAX_CHARACTERS:
        characters = len(formula)
        if characters <= MAX_CHARACTERS * 30:
            characters = len(_COLOUR.sub("", formula))
        if characters > MAX_CHARACTERS:
            message = f"has {characters} characters, more than {MAX_CHARACTERS}"
            return Failure(message, None, "limit")
    if (depth := nesting(formula)) > MAX_NESTING:
        return Failure(f"is nested {depth} deep, more than {MAX_NESTING}", None, "limit")
    return None


def nesting(formula: str) -> int:
    """How deep the formula is nested, as `MAX_NESTING` counts."""
    if formula.count("{") + formula.count("\\") <= MAX_NESTING:
        return 0  # it cannot be deeper than that
    depth = deepest = 0
    switches = [0]  # in each open group
    for found in _NESTING.finditer(formula):
        token = found[0]
        if token == "{" or found["open"]:
            depth += 1
            switches.append(0)
        elif token == "}" or found["close"]:
            depth -= 1 + switches.pop()
            if not switches:
                depth, switches = 0, [0]
        elif found["switch"]:
            depth += 1
            switches[-1] += 1
        elif token in ("&", r"\\"):  # a cell ends
            depth -= switches[-1]
            switches[-1] = 0
        deepest = max(deepest, depth)
    return deepest


def failure_of(message: str, position: int | None) -> Failure:
    """The failure with a message of MathJax or KaTeX."""
    return Failure(message, position, "limit" if _OWN_LIMITS.search(message) else "parse")


def within_glyphs(drawing: Drawing) -> Drawing | Failure:
    """The drawing, or the failure where it has too much ink."""
    if len(drawing.boxes) <= MAX_GLYPHS:
        return drawing
    return Failure(f"has {len(drawing.boxes)} glyphs, more than {MAX_GLYPHS}", None, "limit")
