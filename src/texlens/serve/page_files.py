"""The pages: a handful of files that come with the package, sent as they are."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI
from starlette.responses import Response

# Its own scripts and styles and nothing from elsewhere; pictures also from the page's own memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Address -> media type; the file has the same name. No part of an address is looked up on disk.
_FILES = {
    "/page.css": "text/css",
    "/page.js": "text/javascript",
    "/api.js": "text/javascript",
    "/card.js": "text/javascript",
    "/copying.js": "text/javascript",
    "/history.js": "text/javascript",
    "/marks.js": "text/javascript",
    "/pictures.js": "text/javascript",
    "/docs.js": "text/javascript",
    "/icon.svg": "image/svg+xml",
}
_EXAMPLE = "04-faraday.png"

# These hold nothing secret, and must load before a token can be typed in.
PAGE_ADDRESSES = frozenset({"/", "/docs", "/example.png", *_FILES})


def add_page(app: FastAPI) -> None:
    """Serve the pages from memory."""
    package = resources.files("texlens")
    page = package.joinpath("serve", "page")
    for address, media_type in _FILES.items():
        _add_file(app, address, page.joinpath(address[1:]).read_bytes(), media_type)
    _add_file(app, "/", page.joinpath("index.html").read_bytes(), "text/html")
    _add_file(app, "/docs", page.joinpath("docs.html").read_bytes(), "text/html")
    example = package.joinpath("demo", _EXAMPLE).read_bytes()
    _add_file(app, "/example.png", example, "image/png")


def _add_file(app: FastAPI, address: str, content: bytes, media_type: str) -> None:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}

    @app.api_route(address, methods=["GET", "HEAD"], include_in_schema=False)
    async def send_file() -> Response:
        return Response(content, media_type=media_type, headers=headers)
