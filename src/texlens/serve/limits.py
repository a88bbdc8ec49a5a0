"""What one client, and all of them together, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits; each has its own answer in `docs/serve.md`.

    `body_bytes` of one request, `held_bytes` of all requests that are being received or read;
    `pictures` of one request, `pixels` of one picture, `request_pixels` of all of a request;
    `waiting` pictures in the queue;
    `upload_seconds` for a request to arrive, `answer_seconds` for it to be answered after that;
    `formula_characters` and `renderings` (waiting ones) of `/v1/render`.
    """

    body_bytes: int = 32 * 2**20
    held_bytes: int = 128 * 2**20
    pictures: int = 64
    pixels: int = 32_000_000
    request_pixels: int = 128_000_000
    waiting: int = 256
    upload_seconds: float = 30.0
    answer_seconds: float = 60.0
    formula_characters: int = 20_000
    renderings: int = 64
