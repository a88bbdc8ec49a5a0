"""Access control: the Host and Origin of a request, its token, and headers on every response.

A browser lets any page on the web send requests to this machine. `Host` must be a name that only
this server answers to, which stops DNS rebinding. `Origin`, if the browser sends it, must be this
server. No response has a CORS header. A token is required where others can reach the server.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.errors import InputError
from texlens.serve.problems import problem_response

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class AccessPolicy:
    """Which requests the server accepts, by host name and token."""

    def __init__(
        self, *, is_public: bool = False, names: Iterable[str] = (), token: str | None = None
    ) -> None:
        """Define a policy.

        Args:
            is_public: whether other machines can reach the server. If so, it answers to its own
                host name and to any IP address, otherwise only to loopback addresses and
                `localhost`.
            names: further host names that the server answers to.
            token: required in the Authorization header; None or empty if no token is required.

        Raises:
            InputError: the token cannot be sent in a header.
        """
        if token and not re.fullmatch("[!-~]+", token):
            raise InputError("The token must be printable ASCII without spaces.")
        own = (socket.gethostname(), socket.getfqdn()) if is_public else ()
        self.is_public = is_public
        self.names = {name.lower() for name in (*names, *own, "localhost")}
        self.token = token or None

    def allows_host(self, host: str) -> bool:
        """Whether a Host header (`name`, `name:port`, `[address]:port`) names this server."""
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        name = name.lower().rstrip(".")
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.is_public  # DNS rebinding needs a name

    def allows_token(self, authorization: str) -> bool:
        """Whether an Authorization header contains the token."""
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode(), self.token.encode())
        return is_equal and scheme.lower() == "bearer"


class AuthMiddleware:
    """ASGI middleware that refuses requests against the policy, and adds headers to responses.

    `open_addresses` need no token.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, open_addresses: frozenset[str]) -> None:
        self.app = app
        self.policy = policy
        self.open_addresses = open_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope["path"], Headers(scope=scope))
        except HTTPException as error:
            await problem_response(error, scope["path"])(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self.policy.allows_host(host):
            raise HTTPException(
                421, "This server does not answer to that host name: allow it with --allow-host."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise HTTPException(403, "Pages of other sites may not use this server.")
        if path not in self.open_addresses and not self.policy.allows_token(
            headers.get("authorization", "")
        ):
            raise HTTPException(
                401,
                "This server requires a token: send the header 'Authorization: Bearer TOKEN'.",
                {"WWW-Authenticate": "Bearer"},
            )
