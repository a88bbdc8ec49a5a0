"""LaTeX in other notations: LaTeX for documents, Markdown, MathML, Typst, and Word's equations.

In: one formula, with or without math delimiters. Out: text, or the bytes of a .docx file.

Read `formats` (the list of formats) first, then `tree` (a small tree, made from the MathML that
MathJax writes) and its two writers `typst` and `omml`; `word` puts equations into a document.
"""

from __future__ import annotations

from texlens.export.formats import FORMATS, Format, convert

__all__ = ["FORMATS", "Format", "convert"]
