"""The tools of TexLens for assistants, by the Model Context Protocol (official package `mcp`).

In: calls of `read_formula`, `check_latex` and `render_latex`. Out: their results. The model is loaded at the
first reading. Nothing is fetched from an address, and nothing but pictures is read from the disk.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError

from texlens import __version__
from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import WARNINGS

if TYPE_CHECKING:
    from texlens.reading.backends.remote import RemoteReader
    from texlens.reading.reader import Reader

_MOST_CHARACTERS = 20_000
_LARGEST_EM = 200.0
_INSTRUCTIONS = (
    "Turns pictures of mathematical formulas into LaTeX, checks LaTeX, and renders it. "
    "Compare a rendered reading with its picture where the confidence is below 0.9."
)


def mcp_server(open_reader: Callable[[], Reader | RemoteReader]) -> MCPServer:
    """The server with its three tools. `open_reader` is called at the first reading."""
    server = MCPServer("texlens", version=__version__, instructions=_INSTRUCTIONS)
    reader = cache(open_reader)
    turn = asyncio.Lock()  # one reading or rendering at a time

    async def in_turn(work: Callable[[], Any]) -> Any:
        async with turn:
            try:
                return await asyncio.to_thread(work)
            except TexlensError as error:
                raise ToolError(str(error)) from error

    @server.tool()
    async def read_formula(picture: str, alternatives: int = 0) -> dict[str, Any]:
        """Read the picture of a formula as LaTeX.

        Args:
            picture: the path of a picture file on this machine, or the picture as a data: URL in base64.
            alternatives: how many other possible readings to return (0 to 9).

        Returns the LaTeX, its normal form, the confidence (0..1, the probability that it is right),
        warnings, and the alternatives with their probabilities.
        """
        item = replace(_item(picture), alternatives=max(0, min(9, alternatives)))
        (reading,) = await in_turn(lambda: list(reader().read_many([item])))
        if reading.error is not None:
            raise ToolError(reading.error)
        record: dict[str, Any] = reading.as_json()
        return {
            "latex": record["latex"],
            "normal": record["normal"],
            "confidence": record["confidence"],
            "warnings": [WARNINGS[code] for code in reading.warnings],
            "alternatives": record.get("alternatives", []),
        }

    @server.tool()
    async def check_latex(latex: str) -> dict[str, Any]:
        """Check that a LaTeX formula is valid.

        Returns whether it is, else the first error and its position (characters from 0, or null), and
        the formula's normal form, which is the same for formulas that are written differently.
        """
        from texlens.latex import check, normalize

        _check_length(latex)
        result, normal = await in_turn(lambda: (check(latex), normalize(latex)))
        return {
            "valid": result.ok,
            "error": result.message or None,
            "position": result.position,
            "normal": normal if result.ok else None,
        }

    @server.tool()
    async def render_latex(latex: str, em_px: float = 32.0) -> Image:
        """Render a LaTeX formula as a PNG picture, with `em_px` pixels per em (8 to 200)."""
        from texlens import render
        from texlens.engine import Failure

        _check_length(latex)
        size = render.Size(em_px=max(8.0, min(_LARGEST_EM, em_px)))
        result = await in_turn(lambda: render.png(latex, size))
        if isinstance(result, Failure):
            raise ToolError(f"The formula cannot be rendered: {' '.join(result.message.split())}")
        return Image(data=result, format="png")

    return server


def _item(picture: str) -> Item:
    if picture.lstrip().startswith("data:"):
        head, comma, data = picture.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ToolError("The data: URL must be in base64.")
        try:
            return Item("picture", base64.b64decode("".join(data.split()), validate=True))
        except (binascii.Error, ValueError) as error:
            raise ToolError("The picture is not valid base64.") from error
    if "://" in picture:
        raise ToolError("Addresses are not fetched: give a file's path or a data: URL.")
    return Item(picture, Path(picture).expanduser())


def _check_length(latex: str) -> None:
    if len(latex) > _MOST_CHARACTERS:
        raise ToolError(f"The formula has more than the {_MOST_CHARACTERS:,} characters allowed.")
