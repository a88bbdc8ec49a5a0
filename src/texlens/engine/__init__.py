"""MathJax and KaTeX in V8, which runs in supervised worker processes.

In: LaTeX in math mode, in batches. Out: for each formula its glyph boxes (`Drawing`), SVG, MathML or
KaTeX's parse tree, or a `Failure`. What a formula may cost is counted, not timed.

Read `boxes` (the results) and `limits` first, then `engine` (the calls), then `v8` (what runs in the
worker). The script `js/engine.js` is built from `tools/engine`.
"""

from __future__ import annotations

from texlens.engine.boxes import Box, Drawing, EngineFault, Failure, without_fault
from texlens.engine.engine import Engine, SvgPicture, get_engine
from texlens.engine.fonts import fonts
from texlens.engine.limits import LIMITS_REVISION

__all__ = [
    "LIMITS_REVISION",
    "Box",
    "Drawing",
    "Engine",
    "EngineFault",
    "Failure",
    "SvgPicture",
    "fonts",
    "get_engine",
    "without_fault",
]
