"""LaTeX as picture: SVG and PNG by MathJax, batches by TeX, and comparison without pixels."""

from __future__ import annotations

from texlens.render.compare import same_ink, same_picture
from texlens.render.picture import Size, png, png_many, svg, svg_many

__all__ = ["Size", "png", "png_many", "same_ink", "same_picture", "svg", "svg_many"]
