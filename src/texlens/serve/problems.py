"""Errors over HTTP: problem documents (RFC 9457) with one sentence that says what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """The body of every answer that is an error, as `application/problem+json`."""

    type: str = "about:blank"
    title: str = Field(description="The phrase of the status.")
    status: int
    detail: str = Field(description="One sentence: what was wrong, and what to do.")


class Problem(Exception):
    """A request that cannot be answered as it was asked. `detail` is one sentence."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def busy(detail: str, seconds: float) -> Problem:
    """503, with the time after which another try makes sense."""
    return Problem(503, detail, {"Retry-After": str(max(1, min(60, round(seconds + 0.5))))})


def problem_response(problem: Problem, *, openai: bool = False) -> Response:
    """The problem as a response. `openai` adds the member in which OpenAI clients look."""
    document = ProblemDocument(
        title=HTTPStatus(problem.status).phrase, status=problem.status, detail=problem.detail
    )
    content: dict[str, Any] = document.model_dump()
    if openai:
        kind = "server_error" if problem.status >= 500 else "invalid_request_error"
        content["error"] = {"message": problem.detail, "type": kind, "code": None, "param": None}
    return Response(
        json.dumps(content, ensure_ascii=False), problem.status, problem.headers, MEDIA_TYPE
    )


def sentence_of(error: ValidationError | RequestValidationError) -> str:
    """The first complaint about a request's fields, in one sentence."""
    first = error.errors()[0]
    # Pydantic names the branch of a union it tried by its type; only fields help the sender.
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "str"))
    reason = str(first["msg"]).rstrip(".")
    if first["type"] == "json_invalid":
        return f"The body is not valid JSON: {reason.removeprefix('Invalid JSON: ')}."
    return f"The field '{place}' is wrong: {reason}." if place else f"The request: {reason}."


def answer_problems(app: FastAPI) -> None:
    """Turn every error of the application into a problem document."""

    @app.exception_handler(Problem)
    async def _(request: Request, problem: Problem) -> Response:
        return problem_response(problem, openai=_is_openai(request))

    @app.exception_handler(ClientDisconnect)
    async def _(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is there to see it

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        details = {
            404: "There is nothing at this address: / is the page, /docs describes the API.",
            405: f"{request.method} is not possible here: /docs describes the API.",
        }
        detail = details.get(error.status_code, f"{str(error.detail).rstrip('.')}.")
        problem = Problem(error.status_code, detail, error.headers)
        return problem_response(problem, openai=_is_openai(request))

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> Response:
        problem = Problem(500, "A fault in TexLens; the server's log says more.")
        return problem_response(problem, openai=_is_openai(request))


def _is_openai(request: Request) -> bool:
    return request.url.path.startswith("/v1/chat/")
