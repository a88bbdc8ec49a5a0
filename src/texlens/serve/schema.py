"""The records of the API as its description (`/openapi.json`) shows them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from texlens.serve.completions import ChatRequest
from texlens.serve.drawing import RenderRequest
from texlens.serve.pictures import ReadRequest
from texlens.serve.problems import MEDIA_TYPE, ProblemDocument

_PLACE = "#/components/schemas/{model}"


class TokenRecord(BaseModel):
    """A token of the model's answer."""

    text: str
    logprob: float = Field(description="The natural logarithm of its probability.")


class ReadingRecord(BaseModel):
    """What was read in one picture: the record that `texlens read --json` prints, and `compact`."""

    path: str = Field(description="The picture's name, or 'picture N'.")
    latex: str = Field(description="In the form that the model writes, a space between tokens.")
    compact: str = Field(description="The same without the spaces that TeX ignores.")
    confidence: float = Field(ge=0, le=1)
    warnings: list[str] = Field(description="Codes, such as does_not_parse or no_formula.")
    seconds: float
    tokens: list[TokenRecord]
    error: str | None = Field(None, description="One sentence, when it could not be read.")


class Readings(BaseModel):
    """The answer of `POST /v1/read`."""

    readings: list[ReadingRecord]


class Health(BaseModel):
    """That the server works, how busy it is, and its limits."""

    status: str = "ok"
    version: str
    waiting: int = Field(description="Pictures in the queue.")
    needs_token: bool
    max_body_bytes: int
    max_pictures: int
    max_pixels: int


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a JSON body, for FastAPI's `openapi_extra`."""
    schema = {"$ref": _PLACE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def pictures_body() -> dict[str, Any]:
    """The description of the body of `POST /v1/read`: a form, or JSON."""
    body = json_body(ReadRequest)
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    form = {"type": "object", "properties": {"file": files}, "required": ["file"]}
    body["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return body


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of answers that are problem documents, for FastAPI's `responses`."""
    schema = {"$ref": _PLACE.format(model=ProblemDocument.__name__)}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"content": content, "description": "Problem"} for status in statuses}


def describe_bodies(app: FastAPI) -> None:
    """Add the records of bodies, which the application reads itself, to its description."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        _, schema = models_json_schema(
            [
                (ReadRequest, "validation"),
                (RenderRequest, "validation"),
                (ChatRequest, "validation"),
                (ProblemDocument, "validation"),
            ],
            ref_template=_PLACE,
        )
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components.update(schema["$defs"])
        return document

    app.openapi = described  # type: ignore[method-assign]
