"""A server of our own that speaks OpenAI's chat protocol, and misbehaves as told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Body = dict[str, Any]
# What the fake server answers to a request's body: status, headers, body.
Behaviour = Callable[[Body], tuple[int, dict[str, str], Any]]


def formula(text: str = "x + y = 2", size: tuple[int, int] = (200, 60)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    font = ImageFont.load_default(size=20)
    ImageDraw.Draw(image).text((10, 10), text, font=font, fill="black")
    return image


def answer(text: Any, finish: str = "stop", logprobs: list[float] | None = None) -> Body:
    choice: Body = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text},
    }
    if logprobs is not None:
        tokens = [{"token": "t", "logprob": p, "top_logprobs": []} for p in logprobs]
        choice["logprobs"] = {"content": tokens}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def vllm_answer(
    tokens: list[tuple[str, float]],
    finish: str = "stop",
    alternatives: dict[int, dict[str, float]] | None = None,
) -> Body:
    """As vLLM 0.32 answers: the end token is among the tokens, and not in the text.

    `alternatives` are the other likely tokens of a step (`top_logprobs`).
    """
    ended = finish == "stop"
    body = answer("".join(text for text, _ in (tokens[:-1] if ended else tokens)), finish)
    body["choices"][0]["logprobs"] = {
        "content": [
            {
                "token": text,
                "logprob": p,
                "bytes": list(text.encode()),
                "top_logprobs": [
                    {"token": other, "logprob": q, "bytes": list(other.encode())}
                    for other, q in {text: p, **(alternatives or {}).get(step, {})}.items()
                ],
            }
            for step, (text, p) in enumerate(tokens)
        ]
    }
    return body


@contextmanager
def fake(behaviour: Behaviour) -> Iterator[tuple[str, list[Body]]]:
    """A server on a free port, and the requests that it got."""
    seen: list[Body] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({**body, "path": self.path, "token": self.headers["Authorization"]})
            status, headers, content = behaviour(body)
            sent = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def sent_picture(body: Body) -> Image.Image:
    (address,) = [
        part["image_url"]["url"]
        for part in body["messages"][1]["content"]
        if part["type"] == "image_url"
    ]
    kind, content = address.split(",", 1)
    assert kind == "data:image/png;base64"
    return Image.open(BytesIO(base64.b64decode(content)))
