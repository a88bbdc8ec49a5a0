"""The forms in which a formula leaves TexLens, by name."""

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
    """A form of a formula: what it is, the suffix of its files, and how to write it."""

    about: str
    suffix: str
    write: Callable[[str], str]


def convert(latex: str, format: str) -> str | bytes:
    """A formula in another form: text, or the bytes of a Word document.

    Args:
        latex: one formula, with or without `$` or other wrappers around it.
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


def _typst(latex: str) -> str:
    return f"$ {from_tree(typst_of, latex)} $"


def _inline(latex: str) -> str:
    return f"${formula_of(latex)}$"


def _display(latex: str) -> str:
    formula = formula_of(latex)
    return formula if _DISPLAY.match(formula) else f"\\[ {formula} \\]"


def _markdown(latex: str) -> str:
    return f"$$\n{formula_of(latex)}\n$$"


FORMATS: dict[str, Format] = {
    "latex": Format("the formula alone", ".tex", lambda latex: latex),
    "inline": Format("LaTeX for a line of text: $...$", ".tex", _inline),
    "display": Format("LaTeX for a line of its own: \\[...\\]", ".tex", _display),
    "markdown": Format("Markdown, on lines of its own: $$...$$", ".md", _markdown),
    "mathml": Format("presentation MathML", ".mml", mathml),
    "typst": Format("Typst, on a line of its own", ".typ", _typst),
}
"""The formats that are text. `docx` is the one that is not."""
