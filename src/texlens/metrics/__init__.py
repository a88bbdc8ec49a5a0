"""Metrics of formula recognition: every one of the field's, each number with its signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texlens.metrics.scoring import score

__all__ = ["score"]


def __getattr__(name: str) -> Any:
    if name == "score":
        from texlens.metrics.scoring import score

        return score
    raise AttributeError(f"module 'texlens.metrics' has no attribute '{name}'")
