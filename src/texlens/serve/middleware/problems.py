"""Errors over HTTP: problem documents (RFC 9457) with one sentence that says what to do."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from texlens.serve.middleware.prefix import address_of

MEDIA_TYPE = "application/problem+json"
_OPENAI = ("/v1/chat/", "/v1/models")  # the addresses that OpenAI clients use


class ProblemDocument(BaseModel):
    """The body of every error response, as `application/problem+json`."""

    type: str = "about:blank"
    title: str = Field(description="The reason phrase of the status.")
    status: int
    detail: str = Field(description="One sentence: what was wrong, and what to do.")


class FieldProblem(HTTPException):
    """A field of a request is wrong."""

    def __init__(self, field: str, detail: str, status: int = 422) -> None:
        super().__init__(status, detail)
        self.field = field


def busy(detail: str, seconds: float, status: int = 503) -> HTTPException:
    """A 503 response whose `Retry-After` header gives the seconds until the next attempt."""
    return HTTPException(
        status, detail, {"Retry-After": str(max(1, min(60, round(seconds + 0.5))))}
    )


def internal_error() -> HTTPException:
    """A 500 response, for a mistake of TexLens."""
    return HTTPException(500, "Internal error in TexLens: the server's log has the details.")


def problem_response(error: HTTPException, path: str = "") -> Response:
    """The error as a problem document.

    For the OpenAI endpoints it also has the member `error`, which OpenAI clients read, and status 400
    for 422, which that API does not know.
    """
    status, detail = error.status_code, error.detail
    if status == 422 and path.startswith(_OPENAI):
        status = 400
    document = ProblemDocument(title=HTTPStatus(status).phrase, status=status, detail=detail)
    content: dict[str, Any] = document.model_dump()
    if path.startswith(_OPENAI):
        kind = "server_error" if status >= 500 else "invalid_request_error"
        content["error"] = {"message": detail, "type": kind, "code": None}
        content["error"]["param"] = error.field if isinstance(error, FieldProblem) else None
    return Response(json.dumps(content, ensure_ascii=False), status, error.headers, MEDIA_TYPE)


def media_type(request: Request) -> str:
    """The type of the request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""

    async def handle(request: Request, error: Exception) -> Response:
        return problem_response(_http_exception(request, error), address_of(request.scope))

    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def _http_exception(request: Request, error: Exception) -> HTTPException:
    if isinstance(error, RequestValidationError):
        return _invalid_request(request, error)
    if not isinstance(error, HTTPException):
        return internal_error()
    if isinstance(error, FieldProblem):
        return error
    details = {
        404: "There is nothing at this address: / is the page, /docs describes the API.",
        405: f"{request.method} is not allowed here: /docs describes the API.",
    }
    detail = f"{error.detail.rstrip('.')}."
    if error.detail == HTTPStatus(error.status_code).phrase:  # raised by the framework
        detail = details.get(error.status_code, detail)
    return HTTPException(error.status_code, detail, error.headers)


def _invalid_request(request: Request, error: RequestValidationError) -> HTTPException:
    """The first complaint about a JSON body, in one sentence."""
    first = error.errors()[0]
    reason = str(first["msg"]).rstrip(".")
    if first["loc"][:1] == ("query",):
        name = str(first["loc"][1])
        return FieldProblem(name, f"The parameter '{name}' is wrong: {reason}.")
    if media_type(request) != "application/json":
        return HTTPException(415, "Send JSON, with the header 'Content-Type: application/json'.")
    if first["type"] == "json_invalid":
        return HTTPException(400, f"The body is not valid JSON: {first['ctx']['error']}.")
    # Pydantic names the branch of a union by its type; only field names help the client.
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "str"))
    if not field:
        return HTTPException(422, f"The body is wrong: {reason}.")
    return FieldProblem(field, f"The field '{field}' is wrong: {reason}.")
