"""LaTeX in other forms: MathML by MathJax, and from that Typst and Word."""

from __future__ import annotations

from texlens.export.formats import FORMATS, Format, convert

__all__ = ["FORMATS", "Format", "convert"]
