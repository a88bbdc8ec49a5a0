r"""Math wrappers around a formula: `$...$`, `\[...\]`, `equation` and their kin, taken off."""

from __future__ import annotations

import re

_SPACES = " \t\r\n\f\v"
_PAIRS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_ENVIRONMENT = re.compile(
    r"\\begin[ \t\r\n\f\v]*\{(?P<name>equation|displaymath|math|align|flalign|gather|multline|eqnarray)"
    r"(?P<star>\*?)\}"
)
_ONE_LINE_ONLY = frozenset(["align", "flalign", "gather", "multline", "eqnarray"])
_UNESCAPED_DOLLAR = re.compile(r"(?<!\\)(?:\\\\)*\$")


def unwrap(latex: str) -> str:
    r"""Take off the wrappers that make a formula of LaTeX text, and the space around it.

    These are `$`, `$$`, `\(`, `\[`, `equation`, `displaymath` and `math`, and `align`, `gather`,
    `multline` and `eqnarray` around a single line without alignment marks; with or without star.
    A wrapper that does not span the whole text stays: `$a$ and $b$` is no single formula.
    """
    latex = strip(latex)
    while (inner := _without_outer_wrapper(latex)) is not None:
        latex = strip(inner)
    return latex


def _without_outer_wrapper(latex: str) -> str | None:
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
            inner = strip(inner)
            if name not in _ONE_LINE_ONLY:
                return inner
            inner = strip(inner.removesuffix("\\\\"))
            if "\\\\" not in inner and "&" not in inner:
                return inner
    return None


def _contains(inner: str, opening: str, closing: str) -> bool:
    """Whether a delimiter occurs inside, so that the outer two are not a pair."""
    if opening[0] == "$":
        # Inside \text{...} a `$` is a formula of its own.
        return bool(_UNESCAPED_DOLLAR.search(re.sub(r"\\(?:text\w*|mbox)\s*\{[^{}]*\}", "", inner)))
    return opening in inner or closing in inner


def strip(latex: str) -> str:
    """Strip space, but not the space of a control space `\\ ` at the end."""
    stripped = latex.strip(_SPACES)
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return (
        stripped + " "
        if backslashes % 2 and len(stripped) < len(latex.lstrip(_SPACES))
        else stripped
    )
