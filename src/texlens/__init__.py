"""TexLens: pictures of formulas to LaTeX; metrics, data preparation and training for this task.

The five jobs are packages, each usable alone: `reading`, `metrics` (scoring), `data`, `train` and
`evaluate`. They build on `latex` (LaTeX as text), `engine` (MathJax and KaTeX), `render` (LaTeX as
pictures) and `model` (Qwen2.5-VL). `serve`, `export`, `pipeline` and `cli` use them.

The public names below are imported at first use, so that `import texlens` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.latex import check, normalize, tokenize
    from texlens.metrics import score
    from texlens.reading import Reader, read

__version__ = "0.1.0"

_MODULES = {
    "Reader": "texlens.reading",
    "check": "texlens.latex",
    "normalize": "texlens.latex",
    "read": "texlens.reading",
    "score": "texlens.metrics",
    "tokenize": "texlens.latex",
}

__all__ = ["Reader", "check", "normalize", "read", "score", "tokenize"]

__getattr__ = lazy_names(__name__, _MODULES)
