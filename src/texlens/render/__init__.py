"""LaTeX as pictures: SVG and PNG by MathJax and resvg, grey pages by TeX, comparison by glyph boxes.

In: LaTeX, with or without math delimiters. Out: for each formula its picture or a `Failure`.

Read `picture` (SVG and PNG) first, then `compare` (do two formulas look the same?), `pdflatex` (the
one TeX runner) and `tex` (batches by TeX). `overlay`, `sheet` and `files` are the command
`texlens render`.
"""

from __future__ import annotations

from texlens.render.compare import same_ink, same_picture
from texlens.render.picture import Size, png, png_many, svg, svg_many

__all__ = ["Size", "png", "png_many", "same_ink", "same_picture", "svg", "svg_many"]
