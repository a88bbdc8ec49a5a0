"""The formats to which a formula can be converted, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from texlens.errors import InputError
from texlens.export.tree import from_tree, mathml
from texlens.export.typst import typst_of
from texlens.export.word import WordDocument
from texlens.latex import formula_of

# An environment that is display math by itself: `formula_of` keeps one with a tag.
_DISPLAY = re.compile(r"\\begin\s*\{(?:align|flalign|gather|multline|eqnarray|alignat)\*?\}")


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the suffix of its files, and the function that writes a formula in it."""

    suffix: str
    write: Callable[[str], str]


def convert(latex: str, format: str) -> str | bytes:
    """A formula in another format: text, or the bytes of a Word document.

    Args:
        latex: one formula, with or without math delimiters.
        format: a key of FORMATS, or `docx`.

    Raises:
        InputError: the format is unknown, the formula cannot be read, or (docx) python-docx is
            not installed.
    """
    if format == "docx":
        document = WordDocument()
        document.add_formula(latex)
        return document.content()
    if format not in FORMATS:
        known = ", ".join([*FORMATS, "docx"])
        raise InputError(f"There is no format '{format}': choose one of {known}.")
    return FORMATS[format].write(latex)


def _display(latex: str) -> str:
    formula = formula_of(latex)
    return formula if _DISPLAY.match(formula) else f"\\[ {formula} \\]"


FORMATS: dict[str, Format] = {
    "latex": Format(".tex", formula_of),
    "inline": Format(".tex", lambda latex: f"${formula_of(latex)}$"),
    "display": Format(".tex", _display),
    "markdown": Format(".md", lambda latex: f"$$\n{formula_of(latex)}\n$$"),
    "mathml": Format(".mml", mathml),
    "typst": Format(".typ", lambda latex: f"$ {from_tree(typst_of, latex)} $"),
}
"""The text formats; `docx` is the only other one."""
