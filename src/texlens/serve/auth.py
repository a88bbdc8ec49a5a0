"""Who may come in: the Host and Origin of a request, its token; and headers on every answer.

A browser lets any page on the web send requests to this machine. `Host` must be a name that only
this server answers to, which stops DNS rebinding; `Origin`, where a browser sends it, must be this
very server; no answer carries a CORS header. A token is needed where others can reach the server.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.errors import InputError
from texlens.serve.page_files import PAGE_ADDRESSES
from texlens.serve.problems import Problem, problem_response

OPEN_ADDRESSES = PAGE_ADDRESSES | {"/openapi.json", "/v1/health"}

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Under which names the server is reached, and with which token (None: none is needed).

    `is_public`: reached from other machines, and so by any address of this one; else by its
    loopback addresses and `localhost` alone. `names` are allowed in both cases.
    """

    is_public: bool = False
    names: frozenset[str] = frozenset()
    token: str | None = None

    def admits_host(self, host: str) -> bool:
        """Whether a Host header (`name`, `name:port`, `[address]:port`) names this server."""
        name = _without_port(host).lower().rstrip(".")
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.is_public  # an address cannot be rebound

    def admits_token(self, authorization: str) -> bool:
        """Whether an Authorization header carries the token."""
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.token.encode())
        return right and scheme.lower() == "bearer"


def access_policy(*, is_public: bool, names: Iterable[str], token: str | None) -> AccessPolicy:
    """The policy of a server; a public one also answers to this machine's own name.

    Raises InputError for a token that no header could carry.
    """
    if token is not None and not (
        token.isascii() and token.isprintable() and token == "".join(token.split())
    ):
        raise InputError("The token must be printable ASCII without spaces.")
    own = (socket.gethostname(), socket.getfqdn()) if is_public else ()
    return AccessPolicy(
        is_public, frozenset(name.lower() for name in (*names, *own)), token or None
    )


class AuthMiddleware:
    """ASGI middleware that turns away who may not come in, and adds the headers."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
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
        except Problem as problem:
            openai = scope["path"].startswith("/v1/chat/")
            await problem_response(problem, openai=openai)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self.policy.admits_host(host):
            raise Problem(
                421, "This server does not answer to that host name: allow it with --allow-host."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Problem(403, "Pages of other sites may not use this server.")
        if path not in OPEN_ADDRESSES and not self.policy.admits_token(
            headers.get("authorization", "")
        ):
            raise Problem(
                401,
                "This server needs its token: send the header 'Authorization: Bearer TOKEN'.",
                {"WWW-Authenticate": "Bearer"},
            )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
