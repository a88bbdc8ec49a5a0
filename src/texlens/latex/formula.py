r"""The formula in an answer, without the markup that embeds it in a text.

People and models write formulas in code fences, between math delimiters (`$...$`, `\[...\]`) or in
display environments, and often write several lines as several formulas. All reports, exports,
renderings and metrics take the formula from the answer with `formula_of`, except the metrics that
are defined on the raw text.
"""

from __future__ import annotations

import re
from collections import Counter

REVISION = 1
"""Increased with every change that takes another formula from an answer."""

_SPACES = " \t\r\n\f\v"
_SPACE = r"[ \t\r\n\f\v]"
_FENCE = re.compile(r"(```+)[^\n`]*\n(?P<inner>.*?)\n?[ \t]*\1", re.DOTALL)
# A comment, the escaped backslashes before it, and a command that it ends.
_COMMENT = re.compile(r"(?P<kept>(?<!\\)(?:\\\\)*(?P<command>\\[A-Za-z]+)?)%[^\n]*(?:\n[ \t]*|\Z)")
_BLANK_LINES = re.compile(r"[ \t\r\f\v]*\n\s*\n[ \t\r\f\v]*")
# The environment that is allowed inside a formula, for each that is a formula of its own.
_INNER_ENVIRONMENTS = {
    **dict.fromkeys(("equation", "displaymath", "math"), ""),
    **dict.fromkeys(("align", "flalign"), "aligned"),
    **dict.fromkeys(("gather", "multline"), "gathered"),
    "alignat": "alignedat",
    "eqnarray": "array",
}
_NAME = rf"{_SPACE}*\{{(?P<name>{'|'.join(_INNER_ENVIRONMENTS)})(?P<star>\*?)\}}"
_DISPLAY = re.compile(rf"\\(?P<end>begin|end){_NAME}")
_WHOLE = re.compile(rf"\\begin{_NAME}(?P<inner>.*)\\end\{{(?P=name)(?P=star)\}}", re.DOTALL)
_DELIMITERS = {"$": "$", r"\(": r"\)", r"\[": r"\]"}
_ALL_DELIMITERS = frozenset([*_DELIMITERS, *_DELIMITERS.values()])
_DELIMITER_OR_BRACE = re.compile(r"\\.|[{}$]", re.DOTALL)


def formula_of(answer: str) -> str:
    r"""The one formula in an answer, as it may stand in math mode; never raises.

    Removed are a code fence, math delimiters, comments, blank lines, and space around the formula.
    Display environments are replaced by those that are allowed inside a formula (`align` by
    `aligned`). Several formulas become one: `$a$ + $b$` is `a + b`.

    A delimiter without its partner stays, so that the answer counts as broken. An environment with
    a `\tag` stays, since `aligned` cannot contain one.
    """
    formula = unwrap(answer)
    if "\\begin" in formula and "\\tag" not in formula:
        formula = unwrap(_DISPLAY.sub(_inner_environment, formula))
    return formula


def unwrap(answer: str) -> str:
    """`formula_of`, but environments of several lines stay as they are."""
    before, latex = None, answer
    while latex != before:
        before = latex
        latex = _content(strip(latex))
        if "%" in latex:
            latex = _COMMENT.sub(_end_of_command, latex)
        if "\n" in latex:
            latex = _BLANK_LINES.sub("\n", latex)
        if any(delimiter in latex for delimiter in _DELIMITERS):
            latex = _joined(latex)
    return latex


def strip(latex: str) -> str:
    r"""Strip space, but not the space of a control space `\ ` at the end."""
    stripped = latex.strip(_SPACES)
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    ends_in_space = backslashes % 2 and len(stripped) < len(latex.lstrip(_SPACES))
    return stripped + " " if ends_in_space else stripped


def _content(latex: str) -> str:
    """The content of a fence, or of an environment of one formula, around the text; else the text."""
    if fence := _FENCE.fullmatch(latex):
        return fence["inner"]
    environment = _WHOLE.fullmatch(latex)
    if environment is None or _DISPLAY.search(environment["inner"]):
        return latex
    inner = environment["inner"]
    if not _INNER_ENVIRONMENTS[environment["name"]]:
        return inner
    line = strip(strip(inner).removesuffix("\\\\"))
    has_several = "\\\\" in line or "&" in line or environment["name"] == "alignat"
    return latex if has_several else line


def _joined(latex: str) -> str:
    """The text with a space for every delimiter of math; as it is where one has no partner."""
    # A `$` in braces is that of a \\text{...}, unless the braces are broken.
    braces = Counter(_DELIMITER_OR_BRACE.findall(latex))
    is_balanced = braces["{"] == braces["}"]
    pieces: list[str] = []
    awaited = None
    depth = end = 0
    for token in _DELIMITER_OR_BRACE.finditer(latex):
        depth += (token[0] == "{") - (token[0] == "}")
        if token[0] not in _ALL_DELIMITERS or (is_balanced and depth > 0):
            continue
        if awaited is None and token[0] in _DELIMITERS:
            awaited = _DELIMITERS[token[0]]
        elif token[0] == awaited:
            awaited = None
        else:
            return latex
        pieces.append(latex[end : token.start()])
        end = token.end()
    if awaited or not pieces:
        return latex
    return " ".join(filter(None, map(strip, [*pieces, latex[end:]])))


def _end_of_command(comment: re.Match[str]) -> str:
    """What stays where a comment was; a command must not merge with the next line."""
    return comment["kept"] + (" " if comment["command"] else "")


def _inner_environment(match: re.Match[str]) -> str:
    inner = _INNER_ENVIRONMENTS[match["name"]]
    if not inner:
        return " "
    columns = "{rcl}" if inner == "array" and match["end"] == "begin" else ""
    return f"\\{match['end']}{{{inner}}}{columns}"
