"""Access control: the Host and Origin of a request, its token, and headers on every response.

A browser lets any page on the web send requests to this machine. `Host` must be a name that only
this server answers to, which stops DNS rebinding. `Origin`, if the browser sends it, must be this
server, by one of three signs: it is the Host; or it is a name given with --allow-host; or the browser
itself marks the request as one of the page's own (`Sec-Fetch-Site`, which no page can set), since a
proxy often replaces the Host. No response has a CORS header unless other origins are named. A token is
required where others can reach the server.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.errors import InputError
from texlens.serve.middleware.prefix import address_of
from texlens.serve.middleware.problems import problem_response
from texlens.serve.middleware.tokens import Tokens

CLIENT = "texlens.client"
"""The key of a request's scope with the name of its client: of its token, else its address."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class AccessPolicy:
    """Which requests the server accepts, by host name, origin and token."""

    def __init__(
        self,
        *,
        is_public: bool = False,
        is_socket: bool = False,
        names: Iterable[str] = (),
        origins: Iterable[str] = (),
        token: str | None = None,
        tokens: Path | None = None,
    ) -> None:
        """Define a policy.

        Args:
            is_public: whether other machines can reach the server. If so, it answers to its own
                host name and to any IP address, otherwise only to loopback addresses and
                `localhost`.
            is_socket: whether it listens on a Unix socket, which no browser can reach: the proxy
                before it answers for the Host.
            names: further host names that the server answers to.
            origins: other sites whose pages may use the server, such as `https://example.org`.
            token: required in the Authorization header; None or empty if no token is required.
            tokens: a file with the hashes of several named tokens.

        Raises:
            InputError: the token cannot be sent in a header, the file of tokens is wrong, or an
                origin is none.
        """
        own = (socket.gethostname(), socket.getfqdn()) if is_public else ()
        self.is_public = is_public
        self.is_socket = is_socket
        self.own_names = {name.lower() for name in names}
        self.names = self.own_names | {name.lower() for name in (*own, "localhost")}
        self.origins = frozenset(map(_checked_origin, origins))
        self.tokens = Tokens(token, tokens)

    def allows_host(self, host: str) -> bool:
        """Whether a Host header (`name`, `name:port`, `[address]:port`) names this server."""
        if self.is_socket:
            return True
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        name = name.lower().rstrip(".")
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.is_public  # DNS rebinding needs a name

    def allows_origin(self, headers: Headers) -> bool:
        """Whether a request comes from a page of this server, from a named one, or from no page."""
        if "origin" not in headers:
            return True
        origin = headers["origin"].lower()
        if origin in self.origins:
            return True
        address = origin.partition("://")[2]
        return (
            address == headers.get("host", "").lower()
            or headers.get("sec-fetch-site") == "same-origin"
            or (urlsplit(origin).hostname or "") in self.own_names
        )


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
        raise InputError(
            f"'{origin}' is no origin: give it as https://example.org, without a path."
        )
    return origin.lower()


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

        address = address_of(scope)
        try:
            scope[CLIENT] = self._client(address, scope)
        except HTTPException as error:
            await problem_response(error, address)(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def _client(self, address: str, scope: Scope) -> str:
        """The name of the client of a request. Raises HTTPException when it is refused."""
        headers = Headers(scope=scope)
        if not self.policy.allows_host(headers.get("host", "")):
            raise HTTPException(
                421, "This server does not answer to that host name: allow it with --allow-host."
            )
        if not self.policy.allows_origin(headers):
            raise HTTPException(403, "Pages of other sites may not use this server.")
        network_address = (scope.get("client") or ("local",))[0]
        if not self.policy.tokens:
            return str(network_address)
        name = self.policy.tokens.client_of(headers.get("authorization", ""))
        if name is None and address not in self.open_addresses:
            raise HTTPException(
                401,
                "This server requires a token: send the header 'Authorization: Bearer TOKEN'.",
                {"WWW-Authenticate": "Bearer"},
            )
        return name or str(network_address)
