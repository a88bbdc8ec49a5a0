"""`texlens.normalize`: the normal form of one formula, or of each of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from texlens.latex.normal import normalize as normal_form


@overload
def normalize(latex: str) -> str: ...  # type: ignore[overload-overlap]
@overload
def normalize(latex: Sequence[str]) -> list[str]: ...
def normalize(latex: str | Sequence[str]) -> str | list[str]:
    """Bring a formula, or each of a sequence, to the normal form (`latex.normal`).

    Raises TypeError for what is no text; no text raises an error.
    """
    if isinstance(latex, str):
        return normal_form(latex)
    if isinstance(latex, bytes) or not isinstance(latex, Sequence):
        raise TypeError(f"latex must be a text, or several, not {type(latex).__name__}.")
    for place, one in enumerate(latex):
        if not isinstance(one, str):
            raise TypeError(f"latex[{place}] must be a text, not {type(one).__name__}.")
    return [normal_form(one) for one in latex]
