"""The parts of the API's description (`/openapi.json`) that FastAPI cannot derive."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from texlens.records import WARNINGS, Reading, Token
from texlens.serve.api.pictures import ReadRequest
from texlens.serve.middleware.problems import MEDIA_TYPE, ProblemDocument

_REFERENCE = "#/components/schemas/{model}"


class AlternativeRecord(BaseModel):
    """Another reading of a picture."""

    latex: str
    normal: str
    probability: float = Field(ge=0, le=1, description="That it is the right one.")


class ReadingRecord(BaseModel):
    """The reading of one picture: as from `texlens read --json`, and `messages`."""

    path: str = Field(description="The picture's name, or 'picture N'.")
    latex: str = Field(description="LaTeX for people, with few spaces.")
    normal: str = Field(description="Its normal form: tokens with a space between them.")
    confidence: float = Field(ge=0, le=1)
    warnings: list[str] = Field(description=f"Codes: {', '.join(WARNINGS)}.")
    messages: list[str] = Field(description="One sentence for each warning.")
    seconds: float
    tokens: list[Token]
    alternatives: list[AlternativeRecord] | None = Field(
        None, description="Other readings, if they were asked for and there are any."
    )
    formats: dict[str, str | None] | None = Field(
        None, description="The formula in the formats asked for; null where it has no such form."
    )
    error: str | None = Field(None, description="One sentence, if the picture cannot be read.")


class Readings(BaseModel):
    """The response to `POST /v1/read`."""

    readings: list[ReadingRecord]


class Health(BaseModel):
    """The state of the server and its limits."""

    status: str = "ok"
    model: str = Field(description="'ready' or 'unavailable'.")
    version: str
    waiting: int = Field(description="Pictures in the queue.")
    needs_token: bool
    max_body_bytes: int
    max_pictures: int
    max_pixels: int


_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
_FORM = {"type": "object", "properties": {"file": _FILES}, "required": ["file"]}

# The body of `POST /v1/read`: JSON, or a form.
PICTURES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _REFERENCE.format(model="ReadRequest")}},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}

# The body of `POST /v1/jobs`: an archive too.
ARCHIVE_OR_PICTURES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            **PICTURES_BODY["requestBody"]["content"],  # type: ignore[dict-item]
        },
    }
}


def record_of(reading: Reading) -> dict[str, Any]:
    """A reading as the API returns it."""
    messages = [WARNINGS[code] for code in reading.warnings]
    return {**reading.as_json(), "messages": messages}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of problem documents, for FastAPI's `responses`."""
    schema = {"$ref": _REFERENCE.format(model="ProblemDocument")}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"content": content, "description": "Problem"} for status in statuses}


def complete_description(app: FastAPI) -> None:
    """Add the models that FastAPI does not know, as the application uses them by itself."""
    _, schema = models_json_schema(
        [(ReadRequest, "validation"), (ProblemDocument, "validation")], ref_template=_REFERENCE
    )
    document = app.openapi()
    document["components"]["schemas"] |= schema["$defs"]
    del document["paths"]["/v1/chat/completions"]["post"]["responses"]["422"]  # it answers 400
