"""The pages: a handful of files that come with the package, sent as they are."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI
from starlette.responses import Response

# Its own scripts and styles and nothing from elsewhere; pictures also from the page's own memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Address -> file and media type. No part of an address is ever looked up on disk.
PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/docs": ("docs.html", "text/html"),
    "/docs.js": ("docs.js", "text/javascript"),
}


def add_page(app: FastAPI) -> None:
    """Serve the pages from memory."""
    folder = resources.files("texlens.serve").joinpath("page")
    for address, (name, media_type) in PAGE_FILES.items():
        _add_file(app, address, folder.joinpath(name).read_bytes(), media_type)


def _add_file(app: FastAPI, address: str, content: bytes, media_type: str) -> None:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}

    @app.api_route(address, methods=["GET", "HEAD"], include_in_schema=False)
    async def send_file() -> Response:
        return Response(content, media_type=media_type, headers=headers)
