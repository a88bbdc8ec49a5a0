"""MathJax and KaTeX in V8: one warm engine in each process.

In: LaTeX in math mode, in batches. Out: for each formula its glyph boxes (`Drawing`), SVG, MathML or
KaTeX's parse tree, or a `Failure`. A formula that takes too much time or memory fails alone.

Read `boxes` (the results) first, then `engine` (calls into V8 and their limits). The script
`js/engine.js` is built from `tools/engine`.
"""

from __future__ import annotations

from texlens.engine.boxes import Box, Drawing, Failure
from texlens.engine.engine import Engine, SvgPicture, fonts, get_engine, set_engine

__all__ = [
    "Box",
    "Drawing",
    "Engine",
    "Failure",
    "SvgPicture",
    "fonts",
    "get_engine",
    "set_engine",
]
