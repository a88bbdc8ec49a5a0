"""Word documents whose equations are Word's own, to be edited there."""

from __future__ import annotations

import io
from collections.abc import Iterable

from texlens.errors import require_extra
from texlens.export.formats import omml
from texlens.export.omml import MATH


def document(formulas: Iterable[tuple[str | None, str]]) -> bytes:
    """A .docx file with one equation a formula, under its caption if it has one.

    Args:
        formulas: (caption or None, LaTeX).

    Raises:
        InputError: a formula cannot be converted, or python-docx is not installed.
    """
    require_extra("Writing Word documents", "docx", "docx")
    equations = [(caption, omml(latex)) for caption, latex in formulas]
    from docx import Document
    from docx.oxml import parse_xml

    made = Document()
    made.core_properties.author = ""
    made.core_properties.comments = ""
    for caption, equation in equations:
        if caption is not None:
            made.add_paragraph(_printable(caption))
        display = parse_xml(f'<m:oMathPara xmlns:m="{MATH}">{equation}</m:oMathPara>')
        made.add_paragraph()._p.append(display)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def _printable(text: str) -> str:
    """What XML can hold of a file's name."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
