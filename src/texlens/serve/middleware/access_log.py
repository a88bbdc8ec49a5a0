"""One line for each request in the log, and an id by which it is found again.

The log has no picture, no LaTeX, no token, and no name of a file.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from texlens.serve.metrics import Metrics
from texlens.serve.middleware.auth import CLIENT
from texlens.serve.middleware.prefix import address_of
from texlens.serve.middleware.problems import internal_error, problem_response

LogFormat = Literal["plain", "json"]

_log = logging.getLogger("texlens.access")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})


class AccessLogMiddleware:
    """ASGI middleware that logs and counts every request, and gives it an id.

    The id is the client's own `X-Request-ID`, if it is short and plain, and is sent back.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when it has been answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        status, sent, start = 0, 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            # Without its message, which might contain LaTeX.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("Request %s failed: %s\n%s", request_id, type(error).__name__, frames)
            if not status:
                await problem_response(internal_error(), address_of(scope))(
                    scope, receive, send_with_id
                )
        finally:
            seconds = time.perf_counter() - start
            route = scope.get("route")
            address = getattr(route, "path", None) or "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count_request(address, method, status, seconds)
            fields = {
                "id": request_id,
                "client": scope.get(CLIENT, (scope.get("client") or ("local",))[0]),
                "method": method,
                "path": address_of(scope)[:200],
                "status": status or 499,  # as nginx: the client left before the answer
                "ms": round(1000 * seconds, 1),
                "bytes": sent,
            }
            _log.info("request", extra={"fields": fields})


def configure_logging(level: str, form: LogFormat) -> None:
    """Write the log of the server to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _PlainFormatter())
    logger = logging.getLogger("texlens")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level.upper())


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        text = " ".join(f"{k}={_plain(v)}" for k, v in fields.items()) if fields else None
        line = f"{_time(record)} {record.levelname} {text or record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def _plain(value: object) -> str:
    """A value without spaces and control characters, so that no client can forge a line."""
    text = str(value)
    return text if text and re.fullmatch("[!-~]+", text) else json.dumps(text)
