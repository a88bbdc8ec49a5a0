"""`POST /v1/chat/completions`: reading for clients of OpenAI's API.

Only what reading needs: the input is the picture of the last user message, as a `data:` URL, and
the output is its LaTeX. Texts, sampling options and the name of the model have no effect. `n` asks for
several readings, all of them different: fewer where the picture has no more.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from texlens.reading.alternatives import MOST
from texlens.records import Reading
from texlens.serve.api.pictures import decode_picture
from texlens.serve.middleware.problems import FieldProblem

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
    n: int | None = Field(1, ge=1, le=1 + MOST)
    logprobs: bool | None = False


def picture_of(request: ChatRequest) -> bytes:
    """The content of the picture in the last user message.

    Raises:
        HTTPException: there is not exactly one.
    """
    from_user = [message for message in request.messages if message.role == "user"]
    content = from_user[-1].content if from_user else None
    parts = content if isinstance(content, list) else []
    pictures = [part.image_url for part in parts if part.type == "image_url"]
    if len(pictures) != 1 or pictures[0] is None:
        raise FieldProblem(
            "messages", "The last user message must have one picture, as an 'image_url' part."
        )
    return decode_picture(pictures[0].url)


def completion(reading: Reading, model: str, logprobs: bool) -> dict[str, Any]:
    """The reading and its alternatives as a chat completion, the likeliest first."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": answer.text, "refusal": None},
            "finish_reason": answer.finish_reason,
            "logprobs": answer.logprobs if logprobs else None,
            "probability": answer.probability,
        }
        for index, answer in enumerate(_answers(reading))
    ]
    return {**_head("chat.completion", model), "choices": choices, "usage": _usage(reading)}


def completion_stream(reading: Reading, request: ChatRequest, model: str) -> Iterator[str]:
    """The same as server-sent events. The whole text is one event: it is ready all at once."""
    head = _head("chat.completion.chunk", model)
    chunks: list[dict[str, Any]] = []
    for index, answer in enumerate(_answers(reading)):
        text = {
            "index": index,
            "delta": {"role": "assistant", "content": answer.text},
            "logprobs": answer.logprobs if request.logprobs else None,
            "finish_reason": None,
            "probability": answer.probability,
        }
        end = {"index": index, "delta": {}, "finish_reason": answer.finish_reason}
        chunks += [{"choices": [text]}, {"choices": [end]}]
    if request.stream_options is not None and request.stream_options.include_usage:
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({"choices": [], "usage": _usage(reading)})
    for chunk in chunks:
        yield f"data: {json.dumps({**head, **chunk})}\n\n"
    yield "data: [DONE]\n\n"


def model_card(name: str) -> dict[str, Any]:
    """A model of this server, as OpenAI's API describes one."""
    return {"id": name, "object": "model", "created": 0, "owned_by": MODEL}


@dataclass(frozen=True, slots=True)
class _Answer:
    """One choice of a completion. Only the first reading's tokens are known."""

    text: str
    probability: float
    finish_reason: str = "stop"
    logprobs: dict[str, Any] | None = None


def _answers(reading: Reading) -> list[_Answer]:
    reason = "length" if "unfinished" in reading.warnings else "stop"
    first = _Answer(reading.normal, reading.confidence, reason, _logprobs(reading))
    return [first, *(_Answer(one.normal, one.probability) for one in reading.alternatives)]


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
