"""A real `texlens serve`, over real sockets, with clients that behave badly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
import uvicorn
from serving import FORMULA, OTHER, Server, data_address, problem
from starlette.types import Receive, Scope, Send

from texlens.serve import listen


def raw(server: Server, *parts: bytes, close: bool = False) -> bytes:
    """Send bytes as they are; the answer, if there is one."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            return b"" if close else connection.recv(65536)
        except ConnectionError:  # the server had heard enough
            return b""


def test_many_clients_at_once(server: Server) -> None:
    def read(_: int) -> str:
        answer = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}, timeout=60)
        latex: str = answer.json()["readings"][0]["latex"]
        return latex

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(read, range(12)))) == 1


def test_openai_client(server: Server) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    picture = {"type": "image_url", "image_url": {"url": data_address(OTHER)}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Read."}, picture]}]
    whole = client.chat.completions.create(model="texlens", messages=messages)  # type: ignore[arg-type]
    stream = client.chat.completions.create(model="texlens", messages=messages, stream=True)  # type: ignore[arg-type]
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    read = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}).json()["readings"][0]["latex"]
    assert whole.choices[0].message.content == streamed == read
    assert [model.id for model in client.models.list()] == ["texlens"]
    picture["image_url"] = {"url": "http://127.0.0.1/a.png"}
    with pytest.raises(openai.UnprocessableEntityError, match="never fetched"):
        client.chat.completions.create(model="texlens", messages=messages)  # type: ignore[arg-type]


def test_a_body_of_60_mb_is_refused_and_costs_no_memory(server: Server) -> None:
    before = server.memory_mb
    body = b"x" * 60_000_000
    answer = httpx.post(f"{server.url}/v1/read", files={"file": body}, timeout=30)
    assert answer.status_code == 413
    problem(answer)
    chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
    form = {"Content-Type": "multipart/form-data; boundary=xx"}
    head = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    answer = httpx.post(
        f"{server.url}/v1/read", content=(b for b in [head, *chunks]), headers=form, timeout=30
    )
    assert answer.status_code == 413
    assert server.memory_mb < before + 100


def test_clients_that_leave_or_lie(server: Server) -> None:
    head = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"
    form = head + b"Content-Type: multipart/form-data; boundary=xx\r\nContent-Length: 5000\r\n\r\n"
    raw(server, form, b"--xx\r\n", close=True)  # leaves in the middle of the body
    raw(server, b"POST /v1/re", close=True)  # in the middle of the head
    raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", close=True)  # before the answer
    assert raw(server, b"\x16\x03\x01 no HTTP at all\r\n\r\n").startswith(b"HTTP/1.1 400")
    raw(server, b"GET /" + b"a" * 200_000)  # a head without end
    assert b" 404 " in raw(server, b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 421 " in raw(server, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    body = b'{"pictures":['
    lie = head + b"Content-Type: application/json\r\nContent-Length: -5\r\n\r\n"
    assert raw(server, lie, body).startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{server.url}/v1/health").json()["status"] == "ok"


def test_slow_clients_do_not_keep_others_waiting(server: Server) -> None:
    head = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        for place, connection in enumerate(connections):
            connection.sendall(head[: 20 + place])
        start = time.monotonic()
        assert httpx.get(f"{server.url}/v1/health", timeout=10).status_code == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in connections:
            connection.close()


def test_a_head_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(listen, "HEAD_SECONDS", 0.2)
    running = uvicorn.Server(
        uvicorn.Config(app, http=listen.PatientProtocol, lifespan="off", log_level="error")
    )
    listening = listen.open_socket("127.0.0.1", 0)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    try:
        for whole, rest in [(b"", b""), (b"", request), (request + b"\r\n", request)]:
            with socket.create_connection(listening.getsockname(), timeout=10) as connection:
                if whole:
                    connection.sendall(whole)
                    assert b" 200 " in connection.recv(4096)
                connection.sendall(rest)
                start = time.monotonic()
                while connection.recv(4096):  # until the server hangs up
                    pass
                assert time.monotonic() - start < 4  # uvicorn itself waits 5 s between requests
    finally:
        running.should_exit = True
        thread.join()


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "texlens", "serve", *arguments],
        capture_output=True, text=True, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip


def test_arguments_that_cannot_work(server: Server) -> None:
    without_token = serve("--host", "0.0.0.0")
    assert without_token.returncode == 2
    assert "--token" in without_token.stderr
    taken = serve("--port", str(server.port))
    assert taken.returncode == 2
    assert f"port {server.port}" in taken.stderr
    bad_token = serve("--port", "0", TEXLENS_TOKEN="two words")
    assert bad_token.returncode == 2
    assert "printable ASCII" in bad_token.stderr
    no_host = serve("--host", "no.such.host.invalid", "--token", "t")
    assert no_host.returncode == 2
    for result in (without_token, taken, bad_token, no_host):
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stdout == ""


def test_the_end_waits_for_requests_at_work(server: Server) -> None:  # the last test of this server
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}/v1/read", files={"file": FORMULA}, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.1)
    errors = server.stop()
    thread.join(30)
    assert answers[0].status_code == 200
    assert "Traceback" not in errors
    assert server.process.returncode == 0
