"""Pictures of formulas to LaTeX: open them, bring them to what the model saw, decode, check."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texlens.reading.reader import Reader, read

__all__ = ["Reader", "read"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # needs torch, which opening and framing pictures do not
        return getattr(importlib.import_module("texlens.reading.reader"), name)
    raise AttributeError(f"module 'texlens.reading' has no attribute '{name}'")
