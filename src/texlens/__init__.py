"""TexLens: pictures of formulas to LaTeX, and metrics, training and data for it.

The public names are imported on first use, so that `import texlens` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texlens.latex import check, normalize, tokenize
    from texlens.metrics import score
    from texlens.reading import Reader, read

__version__ = "0.1.0"

_HOME = {
    "Reader": "texlens.reading",
    "check": "texlens.latex",
    "normalize": "texlens.latex",
    "read": "texlens.reading",
    "score": "texlens.metrics",
    "tokenize": "texlens.latex",
}

__all__ = ["Reader", "check", "normalize", "read", "score", "tokenize"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'texlens' has no attribute '{name}'")
