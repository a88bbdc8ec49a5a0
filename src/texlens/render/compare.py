"""Whether two formulas look the same, compared glyph by glyph, without pixels."""

from __future__ import annotations

from collections.abc import Sequence

from texlens.engine import Box, Drawing, Failure, get_engine, without_fault
from texlens.latex import formula_of

# MathJax rounds lengths to a tenth of a thousandth; two routes to one place differ by a few.
TOLERANCE_EM = 0.003


def same_picture(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """For each pair of formulas, whether they look the same; None if the first cannot be rendered.

    That is: equal characters in equal fonts with ink boxes at equal places, up to
    TOLERANCE_EM. The order of the boxes, empty space around the ink and the source do not matter.

    Raises EngineFault where the engine failed.
    """
    drawings = without_fault(
        get_engine().draw([formula_of(text) for pair in pairs for text in pair])
    )
    return [
        None
        if isinstance(first, Failure)
        else isinstance(second, Drawing) and same_ink(first.boxes, second.boxes)
        for first, second in zip(drawings[::2], drawings[1::2], strict=True)
    ]


def same_ink(first: Sequence[Box], second: Sequence[Box]) -> bool:
    """Whether two lists of boxes are the same ink, whatever their order."""
    if len(first) != len(second):
        return False
    left: dict[tuple[str, str, str], list[Box]] = {}
    for box in second:
        left.setdefault((box.kind, box.char, box.font), []).append(box)
    for box in first:
        candidates = left.get((box.kind, box.char, box.font), [])
        match = next((n for n, other in enumerate(candidates) if _at_one_place(box, other)), None)
        if match is None:
            return False
        del candidates[match]
    return True


def _at_one_place(a: Box, b: Box) -> bool:
    return (
        abs(a.x0 - b.x0) <= TOLERANCE_EM
        and abs(a.y0 - b.y0) <= TOLERANCE_EM
        and abs(a.x1 - b.x1) <= TOLERANCE_EM
        and abs(a.y1 - b.y1) <= TOLERANCE_EM
    )
