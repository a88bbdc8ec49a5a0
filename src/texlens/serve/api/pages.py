"""`POST /v1/page`: one page of a PDF as a picture, to draw a box around a formula.

PDFium runs in a worker process, so that no file can end the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response

from texlens.errors import InputError, TexlensError, require_extra
from texlens.workers import WorkerFault, get_pool

_DPI = 200
_MOST_PIXELS = 8_000_000  # a page that is larger is rendered smaller
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Page:
    content: bytes
    number: int


async def page_response(content: bytes, number: int) -> Response:
    """A page as PNG, with the number of pages in `X-Pages`.

    Raises:
        HTTPException: it is no PDF (415), has no such page (404) or cannot be rendered (422).
    """
    try:
        require_extra("Rendering a PDF", "serve", "pypdfium2")
        picture, pages = await asyncio.to_thread(
            lambda: get_pool().run(_renderer, _Page(content, number), seconds=_SECONDS)
        )
    except WorkerFault as fault:
        raise HTTPException(422, "The PDF cannot be rendered.") from fault
    except InputError as error:
        status = 404 if "pages" in str(error) else 415
        raise HTTPException(status, str(error)) from error
    except TexlensError as error:
        raise HTTPException(503, str(error), {"Retry-After": "2"}) from error
    return Response(picture, media_type="image/png", headers={"X-Pages": str(pages)})


def _renderer() -> Callable[[_Page], tuple[bytes, int]]:
    return _render


def _render(page: _Page) -> tuple[bytes, int]:
    import pypdfium2

    from texlens.images import encode_png

    try:
        document = pypdfium2.PdfDocument(page.content)
    except pypdfium2.PdfiumError as error:
        raise InputError("The file is not a PDF, is damaged, or needs a password.") from error
    pages = len(document)
    if not 1 <= page.number <= pages:
        raise InputError(f"There is no page {page.number}: the PDF has {pages} pages.")
    sheet = document[page.number - 1]
    width, height = sheet.get_size()
    scale = min(_DPI / 72, (_MOST_PIXELS / max(1.0, width * height)) ** 0.5)
    return encode_png(sheet.render(scale=scale).to_pil().convert("RGB")), pages
