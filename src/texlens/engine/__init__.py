"""The JavaScript engine: MathJax and KaTeX in V8, warm, one a process."""

from __future__ import annotations

from texlens.engine.boxes import Box, Drawing, Failure
from texlens.engine.engine import Engine, fonts, get_engine, set_engine

__all__ = ["Box", "Drawing", "Engine", "Failure", "fonts", "get_engine", "set_engine"]
