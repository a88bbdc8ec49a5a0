r"""The formula in an answer: what a person or a model wrote, without what only places it in a text.

Answers come in code fences, between math delimiters (`$...$`, `\[...\]`) or in display
environments, and an answer of several lines often comes as several formulas with delimiters of
their own. All reports, exports, renderings and metrics take the formula from the answer with
`formula_of`, except the metrics that are defined on the raw text.
"""

from __future__ import annotations

import re

_SPACES = " \t\r\n\f\v"
_FENCE = re.compile(r"(```+)[^\n`]*\n(?P<inner>.*?)\n?[ \t]*\1", re.DOTALL)
# A comment after what keeps its per cent sign from being escaped, and a command that it ends.
_COMMENT = re.compile(r"(?P<kept>(?<!\\)(?:\\\\)*(?P<command>\\[A-Za-z]+)?)%[^\n]*(?:\n[ \t]*|\Z)")
_BLANK_LINES = re.compile(r"[ \t\r\f\v]*\n\s*\n[ \t\r\f\v]*")
_ENVIRONMENT = re.compile(
    r"\\begin[ \t\r\n\f\v]*\{(?P<name>equation|displaymath|math|align|flalign|gather|multline|eqnarray)"
    r"(?P<star>\*?)\}"
)
_ONE_LINE_ONLY = frozenset(["align", "flalign", "gather", "multline", "eqnarray"])
# What may stand inside a formula for an environment that is a formula of its own.
_INNER_ENVIRONMENTS = {
    "equation": "",
    "displaymath": "",
    "math": "",
    "align": "aligned",
    "flalign": "aligned",
    "alignat": "alignedat",
    "gather": "gathered",
    "multline": "gathered",
    "eqnarray": "array",
}
_DISPLAY = re.compile(
    rf"\\(?P<end>begin|end)\s*\{{\s*(?P<name>{'|'.join(_INNER_ENVIRONMENTS)})\*?\s*\}}"
)
_PAIRS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_UNESCAPED_DOLLAR = re.compile(r"(?<!\\)(?:\\\\)*\$")
_DELIMITERS = {"$": "$", r"\(": r"\)", r"\[": r"\]"}
_ALL_DELIMITERS = frozenset([*_DELIMITERS, *_DELIMITERS.values()])
_DELIMITER_OR_BRACE = re.compile(r"\\.|[{}$]", re.DOTALL)


def formula_of(answer: str) -> str:
    r"""The one formula in an answer, as it may stand in math mode; never raises.

    These come off: a code fence; math delimiters; display environments, for which the kin that
    may stand inside a formula is put (`aligned` for `align`); comments and blank lines; space
    around the formula. Several formulas become one: `$a$ + $b$` is `a + b`.

    Delimiters without their partner stay, so that the answer counts as broken. An environment
    with a `\tag` stays, since `aligned` may not hold one.
    """
    formula = unwrap(answer)
    if "\\begin" in formula and "\\tag" not in formula:
        formula = unwrap(_DISPLAY.sub(_inner_environment, formula))
    return formula


def unwrap(answer: str) -> str:
    """`formula_of` without the change of environments that hold several lines."""
    before = None
    latex = answer
    while latex != before:
        before = latex
        latex = _without_outer_wrapper(strip(latex))
        if "%" in latex:
            latex = _COMMENT.sub(_end_of_command, latex)
        if "\n" in latex:
            latex = _BLANK_LINES.sub("\n", latex)
        if not _ALL_DELIMITERS.isdisjoint(_DELIMITER_OR_BRACE.findall(latex)):
            latex = _joined(latex)
    return latex


def strip(latex: str) -> str:
    r"""Strip space, but not the space of a control space `\ ` at the end."""
    stripped = latex.strip(_SPACES)
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    ends_in_space = backslashes % 2 and len(stripped) < len(latex.lstrip(_SPACES))
    return stripped + " " if ends_in_space else stripped


def _without_outer_wrapper(latex: str) -> str:
    """The content of a fence, delimiters or an environment around the whole text; else the text."""
    if fence := _FENCE.fullmatch(latex):
        return fence["inner"]
    for opening, closing in _PAIRS:
        if latex.startswith(opening) and latex.endswith(closing):
            inner = latex[len(opening) : -len(closing)]
            whole = len(latex) >= len(opening) + len(closing) and not inner.endswith("\\")
            if whole and not _contains(inner, opening, closing):
                return inner
    if environment := _ENVIRONMENT.match(latex):
        name = environment["name"]
        end = f"\\end{{{name}{environment['star']}}}"
        inner = latex[environment.end() : -len(end)]
        if latex.endswith(end) and end not in inner and len(latex) >= environment.end() + len(end):
            if name not in _ONE_LINE_ONLY:
                return inner
            inner = strip(strip(inner).removesuffix("\\\\"))
            if "\\\\" not in inner and "&" not in inner:
                return inner
    return latex


def _contains(inner: str, opening: str, closing: str) -> bool:
    """Whether a delimiter occurs inside, so that the outer two are not a pair."""
    if opening[0] == "$":
        # Inside \\text{...} a `$` is a formula of its own.
        return bool(_UNESCAPED_DOLLAR.search(re.sub(r"\\(?:text\w*|mbox)\s*\{[^{}]*\}", "", inner)))
    return opening in inner or closing in inner


def _joined(latex: str) -> str:
    """The text with a space for every delimiter of math; as it is where one has no partner."""
    pieces: list[str] = []
    awaited = None
    depth = end = 0
    for match in _DELIMITER_OR_BRACE.finditer(latex):
        token = match[0]
        depth += (token == "{") - (token == "}")
        if depth > 0 or token not in _ALL_DELIMITERS:  # a `$` in braces is one in \text{...}
            continue
        if awaited is None and token in _DELIMITERS:
            awaited = _DELIMITERS[token]
        elif token == awaited:
            awaited = None
        else:
            return latex
        pieces.append(latex[end : match.start()])
        end = match.end()
    if awaited:
        return latex
    return " ".join(filter(None, map(strip, [*pieces, latex[end:]])))


def _end_of_command(comment: re.Match[str]) -> str:
    """What stays where a comment was; a command must not grow together with the next line."""
    return comment["kept"] + (" " if comment["command"] else "")


def _inner_environment(match: re.Match[str]) -> str:
    inner = _INNER_ENVIRONMENTS[match["name"]]
    if not inner:
        return " "
    columns = "{rcl}" if inner == "array" and match["end"] == "begin" else ""
    return f"\\{match['end']}{{{inner}}}{columns}"
