"""Servers for tests, in this process and as a process of its own, and requests to them."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from texlens.serve import Limits, create_app
from texlens.serve.jobs.store import JobStore
from texlens.serve.middleware.auth import AccessPolicy

DEMO = Path(str(resources.files("texlens") / "demo"))
FORMULA = (DEMO / "12-energy.tiff").read_bytes()
OTHER = (DEMO / "02-euler.png").read_bytes()


def png(width: int, height: int) -> bytes:
    """A blank picture."""
    stream = io.BytesIO()
    Image.new("L", (width, height), 255).save(stream, "PNG")
    return stream.getvalue()


def data_address(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def chat(url: str, **more: Any) -> dict[str, Any]:
    """The body of a chat completion request with one picture."""
    picture = {"type": "image_url", "image_url": {"url": url}}
    return {"model": "m", "messages": [{"role": "user", "content": [picture]}], **more}


def problem(answer: httpx.Response) -> str:
    """The sentence of a problem document, after checking the document."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    detail: str = document["detail"]
    assert detail.endswith(".")
    assert "\n" not in detail
    assert "Traceback" not in detail
    return detail


@asynccontextmanager
async def client_of(
    reader: Any,
    limits: Limits | None = None,
    policy: AccessPolicy | None = None,
    prefix: str = "",
    jobs: JobStore | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this process."""
    app = create_app(reader, limits=limits, policy=policy, prefix=prefix, jobs=jobs)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


class Server:
    """A running `texlens serve`."""

    def __init__(self, *arguments: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "texlens", "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "--unix-socket" in arguments:
            return
        match = re.search(r"http://\S+:(\d+)/", line)
        assert match, self.process.communicate()
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"
        # The socket listens already, so this waits until the server answers.
        assert httpx.get(f"{self.url}/v1/health", timeout=60).status_code == 200

    def stop(self, sig: int = signal.SIGTERM) -> str:
        """End it by a signal, and return its stderr."""
        self.process.send_signal(sig)
        _, errors = self.process.communicate(timeout=60)
        return errors

    @property
    def memory_mb(self) -> float:
        """The resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) / 1024
