"""The pages: the files in `page/`, sent unchanged."""

from __future__ import annotations

from importlib import resources
from pathlib import PurePath

from fastapi import FastAPI
from starlette.responses import Response

# Only the page's own scripts and styles; pictures also from the page's own memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_PAGES = {"index.html": "/", "docs.html": "/docs"}


def add_page(app: FastAPI) -> frozenset[str]:
    """Serve the pages from memory; no address is looked up on the disk later.

    Returns:
        Their addresses. They contain nothing secret, and must load before a token can be typed in.
    """
    package = resources.files("texlens")
    files = list(package.joinpath("serve", "page").iterdir())
    contents = {_PAGES.get(file.name, f"/{file.name}"): file for file in files}
    contents["/example.png"] = package.joinpath("demo", "04-faraday.png")
    for address, file in contents.items():
        _add_file(app, address, file.read_bytes(), _MEDIA_TYPES[PurePath(file.name).suffix])
    return frozenset(contents)


def _add_file(app: FastAPI, address: str, content: bytes, media_type: str) -> None:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}

    @app.api_route(address, methods=["GET", "HEAD"], include_in_schema=False)
    async def send_file() -> Response:
        return Response(content, media_type=media_type, headers=headers)
