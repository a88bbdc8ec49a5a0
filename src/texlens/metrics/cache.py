"""A memory of drawn formulas, so that each is drawn once however many metrics look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from texlens.engine import Drawing, Failure


class DrawingStore:
    """Draws formulas with the engine of this process and remembers them."""

    def __init__(self) -> None:
        from texlens.engine import get_engine

        self._engine = get_engine()
        self.signature = self._engine.signature
        self._memory: dict[str, Drawing | Failure] = {}

    def draw(self, formulas: Sequence[str]) -> list[Drawing | Failure]:
        """The glyph boxes of each formula in display style, or why it cannot be drawn."""
        missing = [f for f in dict.fromkeys(formulas) if f not in self._memory]
        if missing:
            self._memory.update(zip(missing, self._engine.draw(missing), strict=True))
        return [self._memory[formula] for formula in formulas]
