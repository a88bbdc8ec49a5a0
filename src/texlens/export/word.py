"""Word documents whose equations are Word's own, to be edited there."""

from __future__ import annotations

import io

from texlens.errors import InputError, require_extra
from texlens.export.omml import MATH, omml
from texlens.export.tree import cannot_convert


class WordDocument:
    """A .docx file of paragraphs and equations, one after the other.

    Raises InputError when python-docx is not installed.
    """

    def __init__(self) -> None:
        require_extra("Writing Word documents", "docx", "docx")
        from docx import Document

        self._document = Document()
        # The library's template names its own maker.
        self._document.core_properties.author = ""
        self._document.core_properties.comments = ""

    def add_text(self, text: str) -> None:
        """Add a paragraph; characters that XML does not allow are replaced."""
        kept = "".join(char if char.isprintable() else "\ufffd" for char in text)
        self._document.add_paragraph(kept)

    def add_formula(self, latex: str) -> None:
        """Add an equation on a line of its own. Raises InputError when it cannot be converted."""
        from docx.oxml import parse_xml

        equation = f'<m:oMathPara xmlns:m="{MATH}">{omml(latex)}</m:oMathPara>'
        try:
            # As deep as it will be in the document: what reads one allows 256 levels.
            document = parse_xml(f"<document><body><p>{equation}</p></body></document>")
        except SyntaxError:  # as lxml names it
            raise InputError(cannot_convert(latex, "is nested too deeply for Word")) from None
        self._document.add_paragraph()._p.append(document[0][0][0])

    def content(self) -> bytes:
        """The file."""
        stream = io.BytesIO()
        self._document.save(stream)
        return stream.getvalue()
