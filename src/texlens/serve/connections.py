"""Connections whose clients do not go on: which of them are closed, and when."""

from __future__ import annotations

import asyncio

import h11
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from texlens.serve.middleware.problems import problem_response

IDLE_SECONDS = 20.0
UNREAD_SECONDS = 60.0
MAX_CONNECTIONS = 500


class ClosingProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose client does not go on.

    uvicorn waits without limit for the rest of a request's headers, for the rest of a body after its
    response, and for a client that does not receive the response. Here the first two count as idle and
    end after IDLE_SECONDS, the last one after UNREAD_SECONDS in which nothing was received.

    Beyond MAX_CONNECTIONS one is closed for each that comes: that which has been idle for longest, else
    that whose body has been arriving for longest.
    """

    _waits_since = 0.0  # for the next request, or for the body of one
    _idle_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request, and make room if there is none."""
        super().connection_made(transport)
        self._update_timer()
        others = self.connections - {self}
        open_ = [one for one in others if not one.transport.is_closing()]
        if len(open_) >= MAX_CONNECTIONS:
            waiting = [one for one in open_ if isinstance(one, ClosingProtocol) and one._waits]
            oldest = min(
                waiting, key=lambda one: (one._is_answering, one._waits_since), default=None
            )
            if oldest is not None:
                oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Handle data, and stop or start the timer."""
        super().data_received(data)
        self._update_timer()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a request whose body is cut short: its client may still receive.

        After a complete request the end means that the client has disconnected, as browsers do.
        """
        if self._is_answering and self.cycle.more_body:
            self.cycle.more_body = self.cycle.keep_alive = False
            self.cycle.message_event.set()
            return True
        return None

    def on_response_complete(self) -> None:
        """Wait for the next request, which may have come already."""
        self._update_timer()
        super().on_response_complete()
        self._update_timer()

    def pause_writing(self) -> None:
        """Wait for a client that receives its response slowly, as long as it receives any of it."""
        super().pause_writing()
        self._watch_unread(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on: the client has received enough."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP, and close the connection."""
        answer = problem_response(HTTPException(400, "The request is not valid HTTP."))
        head = h11.Response(
            status_code=400, headers=[*answer.raw_headers, (b"connection", b"close")]
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        for timer in (self._idle_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._unread_timer = None
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _waits(self) -> bool:
        """Whether it is the client's turn: no request is complete."""
        return not self._is_answering or self.cycle.more_body

    def _update_timer(self) -> None:
        if self._is_answering:
            if self._idle_timer is not None:  # a request has begun
                self._waits_since = self.loop.time()
                self._idle_timer.cancel()
                self._idle_timer = None
        elif self._idle_timer is None and not self.transport.is_closing():
            self._waits_since = self.loop.time()
            self._idle_timer = self.loop.call_later(IDLE_SECONDS, self.transport.close)

    def _watch_unread(self, size: int) -> None:
        """Close the connection if as much of the response is left after a while."""

        def check() -> None:
            left = self.transport.get_write_buffer_size()
            if left < size:
                self._watch_unread(left)
            else:
                self.transport.abort()

        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, check)
