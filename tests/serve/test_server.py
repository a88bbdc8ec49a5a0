"""A real `texlens serve`, over real sockets, with clients that behave badly."""

from __future__ import annotations

import json
import resource
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
import uvicorn
from click.testing import CliRunner
from serving import FORMULA, OTHER, Server, data_address, problem
from starlette.types import Receive, Scope, Send

from texlens.cli.serve import serve
from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.reading.backends.remote import RemoteReader
from texlens.serve import server as server_module


def raw(server: Server, *parts: bytes, end: str = "wait") -> bytes:
    """Send bytes as they are, and wait for the answer; or "close"; or "half-close", and wait."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if end == "close":
                return b""
            if end == "half-close":
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # the server has closed the connection
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
    read = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}).json()["readings"][0][
        "normal"
    ]
    assert whole.choices[0].message.content == streamed == read
    tokens = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}).json()["readings"][0][
        "tokens"
    ]
    assert whole.usage is not None
    assert whole.usage.completion_tokens == len(tokens) + 1
    assert whole.usage.prompt_tokens > 20  # visual tokens among them
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(
        client.chat.completions.create(
            model="texlens",
            messages=messages,  # type: ignore[arg-type]
            stream=True,
            logprobs=True,
            stream_options={"include_usage": True},
        )
    )
    assert [chunk.usage for chunk in chunks] == [None, None, whole.usage]
    assert chunks[-1].choices == []
    assert chunks[0].choices[0].logprobs is not None
    assert len(chunks[0].choices[0].logprobs.content or ()) == len(tokens)
    assert [model.id for model in client.models.list()] == ["texlens"]
    assert client.models.retrieve("texlens").owned_by == "texlens"
    with pytest.raises(openai.NotFoundError, match="has no model of that name"):
        client.models.retrieve("gpt-6")
    picture["image_url"] = {"url": "http://127.0.0.1/a.png"}
    with pytest.raises(openai.UnprocessableEntityError, match="never fetched"):
        client.chat.completions.create(model="texlens", messages=messages)  # type: ignore[arg-type]


def test_one_texlens_reads_by_another(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXLENS_API_KEY", raising=False)
    here = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}).json()["readings"][0]
    reading = RemoteReader(f"{server.url}/v1", "texlens", prompt=EMBEDDED).read(OTHER)
    assert reading.latex == here["latex"]
    assert len(reading.tokens) == len(here["tokens"])


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


CLOSE = b"Connection: close\r\n"
POST = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n" + CLOSE
FORM = b"Content-Type: multipart/form-data; boundary=xx\r\n"
PART = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def test_clients_that_leave(server: Server) -> None:
    head = POST + FORM + b"Content-Length: 5000\r\n\r\n"
    raw(server, head, PART, end="close")  # in the middle of the body
    raw(server, b"POST /v1/re", end="close")  # in the middle of the head
    raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", end="close")  # before the answer
    raw(server, b"GET /" + b"a" * 200_000)  # headers without end
    assert httpx.get(f"{server.url}/v1/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01 no HTTP at all\r\n\r\n", 400),
        (POST + FORM + b"Content-Length: -5\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + CLOSE + b"\r\n", 421),
        (POST + FORM + b"Content-Length: 5000\r\n\r\n" + PART, 400),  # a body cut short
        (POST + b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{", 400),
        (POST + FORM + b"Transfer-Encoding: chunked\r\n\r\n3\r\n--x\r\n", 400),
        # Refused at once, while the client still sends.
        (POST + b"Content-Length: 9000000\r\n\r\n" + b"x" * 9_000_000, 415),
        (POST + FORM + b"Content-Length: 40000000\r\n\r\n" + b"x" * 40_000_000, 413),
    ],
)
def test_clients_that_send_wrong_requests(server: Server, request_: bytes, status: int) -> None:
    answer = raw(server, request_, end="half-close")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    document = json.loads(body)
    assert document["status"] == status
    assert document["detail"].endswith(".")


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


def test_requests_whose_headers_never_end_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.2)
    running = uvicorn.Server(
        uvicorn.Config(
            app, http=server_module.IdleTimeoutProtocol, lifespan="off", log_level="error"
        )
    )
    listening = server_module.open_socket("127.0.0.1", 0)
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


def test_arguments_that_cannot_work(server: Server) -> None:
    def refusal(*arguments: str, **environment: str) -> str:
        result = CliRunner().invoke(serve, arguments, env=environment)
        assert isinstance(result.exception, InputError), result
        assert result.output == ""
        return str(result.exception)

    assert "--token" in refusal("--host", "0.0.0.0")
    assert "--token" in refusal("--host", "::")
    assert f"port {server.port}" in refusal("--port", str(server.port))
    assert "printable ASCII" in refusal("--port", "0", TEXLENS_TOKEN="two words")
    assert "no.such.host.invalid" in refusal("--host", "no.such.host.invalid", "--token", "t")
    assert "no/such/folder" in refusal("--port", "0", "--model", "no/such/folder")


def test_sigterm_waits_for_current_requests(
    server: Server,
) -> None:  # the last test of this server
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}/v1/read", files={"file": FORMULA}, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    errors = server.stop()
    thread.join(30)
    assert answers[0].status_code == 200
    assert "Traceback" not in errors
    assert server.process.returncode == 0


def test_ctrl_c_refuses_them_at_once() -> None:
    server = Server("--log-format", "json")
    answers: list[httpx.Response] = []

    def ask(_: int) -> None:
        answers.append(
            httpx.post(f"{server.url}/v1/read", files=[("file", FORMULA)] * 8, timeout=60)
        )

    with ThreadPoolExecutor(20) as pool:
        asked = pool.map(ask, range(20))
        time.sleep(0.7)
        start = time.monotonic()
        errors = server.stop(signal.SIGINT)
        assert time.monotonic() - start < 3
        list(asked)
    assert {answer.status_code for answer in answers} <= {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert "being stopped" in problem(answer)
            assert int(answer.headers["retry-after"]) >= 1
    assert server.process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert sum(line.get("path") == "/v1/read" for line in lines) == 20


@pytest.mark.slow
def test_two_thousand_connections_do_not_lock_others_out() -> None:
    server = Server()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    connections: list[socket.socket] = []
    try:
        for _ in range(2000):
            connections.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        assert httpx.get(f"{server.url}/v1/ready", timeout=20).status_code == 200
        answer = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}, timeout=60)
        assert answer.status_code == 200
    finally:
        for connection in connections:
            connection.close()
        assert "Traceback" not in server.stop()


@pytest.mark.slow
def test_sigterm_with_two_hundred_waiting() -> None:
    """Each is answered, with its reading or with 503; the server ends in time."""
    server = Server("--client-queue", "256")

    def ask(_: int) -> int:
        answer = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(200) as pool:
        asked = [pool.submit(ask, number) for number in range(200)]
        while httpx.get(f"{server.url}/v1/health").json()["waiting"] < 50:
            time.sleep(0.02)
            assert not all(one.done() for one in asked)
        errors = server.stop()
        statuses: list[int | str] = []
        for one in asked:
            try:
                statuses.append(one.result())
            except (httpx.ConnectError, httpx.ReadError):  # not received when the server stopped
                statuses.append("not accepted")
    assert set(statuses) <= {200, 503, "not accepted"}
    assert statuses.count(200) >= 50
    assert "Traceback" not in errors
    assert server.process.returncode == 0
