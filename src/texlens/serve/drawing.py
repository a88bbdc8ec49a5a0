"""`POST /v1/render`: LaTeX in, a picture of it or another notation out."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from texlens import render
from texlens.engine import Failure
from texlens.errors import InputError
from texlens.export import convert
from texlens.latex import formula_of
from texlens.serve.problems import Problem, busy

T = TypeVar("T")

# An SVG that is opened by itself runs nothing and loads nothing.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


RenderedFormat = Literal["svg", "png", "inline", "display", "markdown", "mathml", "typst", "docx"]
_MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "markdown": "text/markdown",
    "mathml": "application/mathml+xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

ANSWER_TYPES = (*_MEDIA_TYPES.values(), "text/plain")


class RenderRequest(BaseModel):
    """The body of `POST /v1/render`."""

    model_config = ConfigDict(extra="forbid")

    latex: str = Field(description="A formula, with or without dollar signs.")
    format: RenderedFormat = "svg"
    display: bool = Field(True, description="Display style; false for the style within a line.")
    em_px: float = Field(32.0, gt=0, le=400, description="Pixels an em, for PNG.")


class RenderQueue:
    """One formula at a time, a bounded number waiting: a hostile formula delays, and no more."""

    def __init__(self, most_waiting: int, most_characters: int) -> None:
        self._turn = asyncio.Lock()
        self._room = most_waiting
        self._most_characters = most_characters

    async def draw(self, request: RenderRequest) -> Response:
        """The formula in the form asked for.

        Raises Problem when it cannot be drawn (422), is too long (413), or too many wait (503).
        """
        if len(request.latex) > self._most_characters:
            raise Problem(
                413, f"The formula has more than the {self._most_characters:,} characters allowed."
            )
        if self._room == 0:
            raise busy("Too many formulas wait to be drawn: try again in a moment.", 2)
        self._room -= 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_rendered, request)
        finally:
            self._room += 1


def _rendered(request: RenderRequest) -> Response:
    latex = formula_of(request.latex)
    if not latex.strip():
        raise Problem(422, "The formula is empty.")
    media_type = _MEDIA_TYPES.get(request.format, "text/plain")
    headers = {"Content-Security-Policy": _SVG_POLICY} if request.format == "svg" else None
    return Response(_written(latex, request), media_type=media_type, headers=headers)


def _written(latex: str, request: RenderRequest) -> str | bytes:
    if request.format == "svg":
        return _drawn(render.svg(latex, display=request.display))
    if request.format == "png":
        return _drawn(render.png(latex, render.Size(em_px=request.em_px), display=request.display))
    try:
        return convert(latex, request.format)
    except InputError as error:
        raise Problem(422, str(error)) from error


def _drawn(result: T | Failure) -> T:
    if isinstance(result, Failure):
        message = " ".join(result.message.split()).rstrip(".")
        raise Problem(422, f"The formula cannot be drawn: {message}.")
    return result
