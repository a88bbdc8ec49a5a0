"""`POST /v1/render`: a formula as a picture or in another notation."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from texlens import render
from texlens.engine import Failure
from texlens.errors import InputError
from texlens.export import FORMATS, convert
from texlens.latex import formula_of
from texlens.serve.middleware.problems import busy

T = TypeVar("T")

# An SVG file that is opened by itself runs nothing and loads nothing.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "markdown": "text/markdown",
    "mathml": "application/mathml+xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

ALL_FORMATS = ("svg", "png", *FORMATS, "docx")
"""In JSON `png` and `docx` are in base64."""

RESPONSE_TYPES = (*_MEDIA_TYPES.values(), "text/plain")


class RenderRequest(BaseModel):
    """The body of `POST /v1/render`."""

    model_config = ConfigDict(extra="forbid")

    latex: str = Field(description="A formula, with or without dollar signs.")
    format: Literal[ALL_FORMATS] = "svg"  # type: ignore[valid-type]
    display: bool = Field(
        True, description="For SVG and PNG: display style; false for inline style."
    )
    em_px: float = Field(32.0, gt=0, le=400, description="For PNG: pixels per em.")


class RenderQueue:
    """Renders one formula at a time; a bounded number waits. A hostile formula only delays.

    Args:
        max_waiting: formulas that wait or are being rendered.
        max_characters: length of a formula.
    """

    def __init__(self, max_waiting: int, max_characters: int) -> None:
        self._lock = asyncio.Lock()
        self._places = max_waiting
        self._max_characters = max_characters

    async def render(self, request: RenderRequest) -> Response:
        """The formula in the requested format.

        Raises:
            HTTPException: the formula cannot be rendered (422) or is too long (413), or the queue
                is full (503).
        """
        if len(request.latex) > self._max_characters:
            raise HTTPException(
                413, f"The formula has more than the {self._max_characters:,} characters allowed."
            )
        async with self._place():
            return await asyncio.to_thread(_response, request)

    async def render_all(self, latex: str, formats: Iterable[str]) -> dict[str, str | None]:
        """A formula in several formats, for JSON; None where it cannot be written in one.

        Raises:
            HTTPException: the queue is full (503).
        """
        async with self._place():
            return await asyncio.to_thread(
                lambda: {name: _for_json(latex, name) for name in formats}
            )

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A turn, after those that wait."""
        if self._places == 0:
            raise busy("Too many formulas are waiting: try again in a moment.", 2)
        self._places -= 1
        try:
            async with self._lock:
                yield
        finally:
            self._places += 1


def formats_of(value: str) -> list[str]:
    """The formats in a parameter: names with commas between them, or `all`.

    Raises:
        HTTPException: one is unknown.
    """
    names = list(ALL_FORMATS) if value == "all" else [name for name in value.split(",") if name]
    for name in names:
        if name not in ALL_FORMATS:
            known = ", ".join(ALL_FORMATS)
            raise HTTPException(422, f"There is no such format: choose among {known}, or 'all'.")
    return names


def _for_json(latex: str, name: str) -> str | None:
    try:
        content = _content(latex, RenderRequest(latex=latex, format=name))
    except HTTPException:
        return None
    return content if isinstance(content, str) else base64.b64encode(content).decode()


def _response(request: RenderRequest) -> Response:
    latex = formula_of(request.latex)
    if not latex.strip():
        raise HTTPException(422, "The formula is empty.")
    media_type = _MEDIA_TYPES.get(request.format, "text/plain")
    headers = {"Content-Security-Policy": _SVG_POLICY} if request.format == "svg" else None
    return Response(_content(latex, request), media_type=media_type, headers=headers)


def _content(latex: str, request: RenderRequest) -> str | bytes:
    if request.format == "svg":
        return _rendered(render.svg(latex, display=request.display))
    if request.format == "png":
        size = render.Size(em_px=request.em_px)
        return _rendered(render.png(latex, size, display=request.display))
    try:
        return convert(latex, request.format)
    except InputError as error:
        raise HTTPException(422, str(error)) from error


def _rendered(result: T | Failure) -> T:
    if isinstance(result, Failure):
        message = " ".join(result.message.split()).rstrip(".")
        raise HTTPException(422, f"The formula cannot be rendered: {message}.")
    return result
