"""The servers of a remote model: the one with the fewest requests is asked, and another one if it fails.

A server that refuses connections, is busy (429) or fails (5xx) rests, each time twice as long, while the
others do its requests. Before it is asked again it must list its models. A single server has the
openai client's own retries instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from texlens.errors import InputError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PROBE_SECONDS = 5.0
_RETRIES = 6  # of one server: after 0.5, 1, 2, 4, 8 and 8 seconds, or as the server asks
_FIRST_REST, _LONGEST_REST = 0.5, 30.0  # seconds
_GIVES_UP_AFTER = 24.0  # seconds without any server that answers: as long as one is tried again


@dataclass(eq=False)
class _Server:
    client: AsyncOpenAI
    load: int = 0  # requests in work
    rest: float = 0.0  # seconds of its last rest; 0 while it works
    rests_until: float = 0.0
    is_probed: bool = False  # at this moment

    def fail(self) -> None:
        self.rest = min(_LONGEST_REST, 2 * self.rest or _FIRST_REST)
        self.rests_until = time.monotonic() + self.rest


class Endpoints:
    """Servers with the same model. Its coroutines belong in one event loop.

    Raises InputError for what is no address, or one that is given twice.
    """

    def __init__(self, addresses: str | Sequence[str], *, token: str, timeout_s: float) -> None:
        import openai

        given = [addresses] if isinstance(addresses, str) else list(addresses)
        for address in given:
            if not address.startswith(("http://", "https://")):
                raise InputError(
                    f"'{address}' is not the address of a server: begin it with http://."
                )
        self.addresses = tuple(address.rstrip("/") for address in given)
        if len(set(self.addresses)) < len(self.addresses):
            raise InputError("The same --endpoint is given twice.")
        several = len(given) > 1
        self._servers = [
            _Server(
                openai.AsyncOpenAI(
                    base_url=address,
                    api_key=token,
                    # Of several servers one that hangs leaves time for another.
                    timeout=timeout_s / 2 if several else timeout_s,
                    max_retries=0 if several else _RETRIES,
                )
            )
            for address in self.addresses
        ]

    async def complete(self, **request: Any) -> Any:
        """The answer to a request of a chat completion. Raises what the openai client raises."""
        import openai

        if len(self._servers) == 1:
            return await self._servers[0].client.chat.completions.create(**request)
        failed: openai.OpenAIError | None = None
        begin = time.monotonic()
        while True:
            server = await self._next()
            if server is None:
                if failed is not None and time.monotonic() - begin > _GIVES_UP_AFTER:
                    raise failed
                await asyncio.sleep(_FIRST_REST / 2)
                continue
            server.load += 1
            try:
                answer = await server.client.chat.completions.create(**request)
            except (
                openai.APIConnectionError,
                openai.InternalServerError,
                openai.RateLimitError,
            ) as error:
                failed = error
                server.fail()
                if time.monotonic() - begin > _GIVES_UP_AFTER and self._all_rest():
                    raise
            else:
                server.rest = 0.0
                return answer
            finally:
                server.load -= 1

    async def can_read(self) -> bool:
        """Whether one of the servers answers, and accepts the token."""
        return any(await asyncio.gather(*(self._lists_models(one) for one in self._servers)))

    def _all_rest(self) -> bool:
        return all(server.rest for server in self._servers)

    async def _next(self) -> _Server | None:
        """The server with the fewest requests among those that work; one that has rested is probed."""
        now = time.monotonic()
        for server in self._servers:
            if server.rest and now >= server.rests_until and not server.is_probed:
                server.is_probed = True
                try:
                    works = await self._lists_models(server)
                finally:
                    server.is_probed = False
                if works:
                    server.rest = 0.0
                else:
                    server.fail()
        working = [server for server in self._servers if not server.rest]
        return min(working, key=lambda server: server.load, default=None)

    async def _lists_models(self, server: _Server) -> bool:
        import openai

        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await server.client.with_options(max_retries=0).models.list()
        except openai.NotFoundError:  # a server without a list of its models
            return True
        except (openai.OpenAIError, TimeoutError, ValueError):
            return False
        return True
