"""Addresses under a prefix: behind a proxy, or mounted in another application."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def address_of(scope: MutableMapping[str, Any]) -> str:
    """The path of a request without the prefix under which the application is served."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] or "/" if prefix and f"{path}/".startswith(f"{prefix}/") else path


class PrefixMiddleware:
    """ASGI middleware for a proxy that serves the application under a prefix.

    The proxy may leave the prefix in the path or take it away: nginx does either, by a slash in its
    configuration.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """`prefix` begins with a slash and does not end with one."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its whole path and the prefix."""
        if scope["type"] == "http" and self._prefix:
            path = scope["path"]
            if path == self._prefix:  # the page's links are relative to the address with a slash
                await RedirectResponse(f"{path}/")(scope, receive, send)
                return
            if not path.startswith(f"{self._prefix}/"):
                path = self._prefix + path
            scope = {**scope, "path": path, "root_path": scope.get("root_path", "") + self._prefix}
        await self._app(scope, receive, send)
