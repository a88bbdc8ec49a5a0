"""`POST /v1/chat/completions`: reading for clients of OpenAI's API.

Only what reading needs: the input is the picture of the last user message, as a `data:` URL, and
the output is its LaTeX. Texts, sampling options and the name of the model have no effect.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from texlens.records import Reading
from texlens.serve.api.pictures import decode_picture

MODEL = "texlens"
"""The name of a server's one model."""


class ImageUrl(BaseModel):
    """The address of a picture, which must be a `data:` URL."""

    url: str


class Part(BaseModel):
    """One part of a message."""

    type: str
    image_url: ImageUrl | None = None


class Message(BaseModel):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """What a stream has beside the answer."""

    include_usage: bool | None = False


class ChatRequest(BaseModel):
    """The fields of a chat completion request that are used; others are ignored."""

    model: str = ""
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    logprobs: bool | None = False


def picture_of(request: ChatRequest) -> bytes:
    """The content of the picture in the last user message.

    Raises:
        HTTPException: there is not exactly one, or `n` is not 1.
    """
    if request.n not in (None, 1):
        raise HTTPException(422, "The field 'n' must be 1: reading gives one answer.")
    from_user = [message for message in request.messages if message.role == "user"]
    content = from_user[-1].content if from_user else None
    parts = content if isinstance(content, list) else []
    pictures = [part.image_url for part in parts if part.type == "image_url"]
    if len(pictures) != 1 or pictures[0] is None:
        raise HTTPException(
            422, "The last user message must have one picture, as an 'image_url' part."
        )
    return decode_picture(pictures[0].url)


def completion(reading: Reading, model: str, logprobs: bool) -> dict[str, Any]:
    """The reading as a chat completion."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": reading.normal, "refusal": None},
        "finish_reason": _finish_reason(reading),
        "logprobs": _logprobs(reading) if logprobs else None,
    }
    return {**_head("chat.completion", model), "choices": [choice], "usage": _usage(reading)}


def completion_stream(reading: Reading, request: ChatRequest, model: str) -> Iterator[str]:
    """The same as server-sent events. The whole text is one event: it is ready all at once."""
    head = _head("chat.completion.chunk", model)
    logprobs = _logprobs(reading) if request.logprobs else None
    first = {"role": "assistant", "content": reading.normal}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": first, "logprobs": logprobs, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": _finish_reason(reading)}]},
    ]
    if request.stream_options is not None and request.stream_options.include_usage:
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({"choices": [], "usage": _usage(reading)})
    for chunk in chunks:
        yield f"data: {json.dumps({**head, **chunk})}\n\n"
    yield "data: [DONE]\n\n"


def model_card(name: str) -> dict[str, Any]:
    """A model of this server, as OpenAI's API describes one."""
    return {"id": name, "object": "model", "created": 0, "owned_by": MODEL}


def _usage(reading: Reading) -> dict[str, int]:
    """The tokens of the reading that was chosen; those of other readings of it are not counted."""
    is_ended = "unfinished" not in reading.warnings and bool(reading.tokens)
    answer = len(reading.tokens) + is_ended
    return {
        "prompt_tokens": reading.prompt_tokens,
        "completion_tokens": answer,
        "total_tokens": reading.prompt_tokens + answer,
    }


def _head(kind: str, model: str) -> dict[str, Any]:
    identifier = f"chatcmpl-{uuid.uuid4().hex}"
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": model}


def _finish_reason(reading: Reading) -> str:
    return "length" if "unfinished" in reading.warnings else "stop"


def _logprobs(reading: Reading) -> dict[str, Any]:
    tokens = [
        {
            "token": token.text,
            "logprob": token.logprob,
            "bytes": list(token.text.encode()),
            "top_logprobs": [],
        }
        for token in reading.tokens
    ]
    return {"content": tokens, "refusal": None}
