"""Limits on what one client, and all clients together, may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the server. `docs/serve.md` lists the answer to a request beyond each of them.

    Attributes:
        body_bytes: size of one request's body.
        memory_bytes: size of the bodies of all requests that are being received or answered.
        pictures: pictures in one request.
        pixels: pixels of one picture.
        request_pixels: pixels of all pictures in one request.
        waiting: pictures in the queue.
        waiting_of_client: how many of them may belong to one client.
        upload_seconds: time for a request's body to arrive.
        answer_seconds: time for the readings of a request, after its body has arrived.
        formula_characters: length of a formula for `/v1/render`.
        job_bytes: size of the archive of a job.
        job_pictures: pictures of a job.
        jobs: unfinished jobs of one client.
        job_upload_seconds: time for the archive of a job to arrive.
        renderings: requests to `/v1/render` that wait at the same time.
    """

    body_bytes: int = 32 * 2**20
    memory_bytes: int = 128 * 2**20
    pictures: int = 64
    pixels: int = 32_000_000
    request_pixels: int = 128_000_000
    waiting: int = 256
    waiting_of_client: int = 192
    upload_seconds: float = 30.0
    answer_seconds: float = 60.0
    formula_characters: int = 20_000
    renderings: int = 64
    job_bytes: int = 512 * 2**20
    job_pictures: int = 10_000
    jobs: int = 16
    job_upload_seconds: float = 600.0
