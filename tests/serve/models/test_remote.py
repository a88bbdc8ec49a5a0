"""A server whose model is on another server, which may hang."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from fake_server import Body, answer, fake, formula
from serving import OTHER, Server, client_of, problem

from texlens.images import encode_png
from texlens.reading.backends.remote import RemoteReader
from texlens.serve.models.remote import RemoteModel


@pytest.fixture
def upstream() -> Iterator[tuple[str, Event]]:
    """A server whose first answer comes when the event is set, or after 20 seconds."""
    release, seen = Event(), [0]

    def behaviour(_: Body) -> tuple[int, dict[str, str], Any]:
        seen[0] += 1
        if seen[0] == 1:
            release.wait(20)
        return 200, {}, answer("x")

    with fake(behaviour) as (url, _):
        yield url, release
        release.set()


def test_one_that_hangs_keeps_no_other_waiting(upstream: tuple[str, Event]) -> None:
    model = RemoteModel(RemoteReader(upstream[0], "m", concurrency=4, timeout_s=2))

    async def clients() -> tuple[httpx.Response, float]:
        async with client_of(model) as client:
            first = asyncio.ensure_future(client.post("/v1/read", files=[("file", OTHER)]))
            await asyncio.sleep(0.2)
            start = time.monotonic()
            others = [client.post("/v1/read", files=[("file", OTHER)]) for _ in range(8)]
            for other in await asyncio.gather(*others):
                assert other.json()["readings"][0]["latex"] == "x"
            return await first, time.monotonic() - start

    hanging, seconds = asyncio.run(clients())
    assert hanging.status_code == 422
    assert "did not answer within 2 s" in problem(hanging)
    assert seconds < 4


def test_attempts_share_the_time_of_their_picture() -> None:
    with fake(lambda _: (503, {"retry-after": "1"}, {"error": {"message": "busy"}})) as (url, seen):
        start = time.monotonic()
        (reading,) = RemoteReader(url, "m", timeout_s=1.5).read_many([formula()])
    assert reading.error == f"The server at {url} did not answer within 1.5 s."
    assert time.monotonic() - start < 3
    assert len(seen) == 2


def test_ctrl_c_need_not_wait_for_a_server_that_hangs(
    upstream: tuple[str, Event], tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(formula()))
    command = [sys.executable, "-m", "texlens", "read", str(tmp_path / "a.png"), "--endpoint"]
    process = subprocess.Popen(
        [*command, upstream[0], "--model", "m"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - start < 3
    assert "Traceback" not in errors
    assert process.returncode not in (0, None)


def test_a_server_whose_upstream_is_gone_is_alive_and_not_ready() -> None:
    server = Server("--endpoint", "http://127.0.0.1:9/v1", "--model", "m")
    try:
        assert httpx.get(f"{server.url}/v1/health").json()["model"] == "unavailable"
        answer = httpx.get(f"{server.url}/v1/ready")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(10) == 0
