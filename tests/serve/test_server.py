"""A real `texlens serve`, over real sockets, with clients that behave badly."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from click.testing import CliRunner
from scripted import ScriptedReader
from serving import DEMO, FORMULA, OTHER, Server, chat, data_address, problem
from starlette.types import Receive, Scope, Send

from texlens.cli.serve import serve
from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.reading.backends.remote import RemoteReader
from texlens.serve import Limits, connections, create_app
from texlens.serve import server as server_module
from texlens.serve.jobs.store import JobStore
from texlens.serve.middleware import body


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
    with pytest.raises(openai.BadRequestError, match="never fetched"):
        client.chat.completions.create(model="texlens", messages=messages)  # type: ignore[arg-type]


def test_openai_client_asks_for_several_choices(server: Server) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    content = (DEMO / "05-cauchy-schwarz.png").read_bytes()
    request: dict[str, Any] = chat(data_address(content), logprobs=True)
    choices = client.chat.completions.create(**request, n=3).choices
    assert [choice.index for choice in choices] == [0, 1, 2]
    readings = [choice.message.content for choice in choices]
    assert len(set(readings)) == 3  # `n` samples of one answer would say nothing
    probabilities = [(choice.model_extra or {})["probability"] for choice in choices]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1
    assert choices[0].logprobs is not None
    streamed = dict.fromkeys(range(3), "")
    for chunk in client.chat.completions.create(**request, n=3, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert list(streamed.values()) == readings
    alone = client.chat.completions.create(**request)
    assert [choice.message.content for choice in alone.choices] == readings[:1]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**request, n=11)
    assert refused.value.param == "n"


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
    opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        for place, connection in enumerate(opened):
            connection.sendall(head[: 20 + place])
        start = time.monotonic()
        assert httpx.get(f"{server.url}/v1/health", timeout=10).status_code == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in opened:
            connection.close()


@contextlib.contextmanager
def listening(app: Any) -> Iterator[tuple[str, int]]:
    """The address of a server in a thread of this process."""
    config = uvicorn.Config(
        app, http=connections.ClosingProtocol, lifespan="off", log_level="error", access_log=False
    )
    running = uvicorn.Server(config)
    listener = server_module.open_socket("127.0.0.1", 0)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        running.should_exit = True
        thread.join()


def test_requests_whose_headers_never_end_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    with listening(app) as address:
        for whole, rest in [(b"", b""), (b"", request), (request + b"\r\n", request)]:
            with socket.create_connection(address, timeout=10) as connection:
                if whole:
                    connection.sendall(whole)
                    assert b" 200 " in connection.recv(4096)
                connection.sendall(rest)
                start = time.monotonic()
                while connection.recv(4096):  # until the server hangs up
                    pass
                assert time.monotonic() - start < 4  # uvicorn itself waits 5 s between requests


CHUNKED = b"Host: localhost\r\nTransfer-Encoding: chunked\r\n"
TRICKLE, TORRENT = (1, 0.02), (50_000, 0.0)


@pytest.mark.parametrize(("size", "pause", "status"), [(*TRICKLE, 408), (*TORRENT, 413)])
@pytest.mark.parametrize(
    ("address", "kind", "beginning"),
    [
        ("/v1/read", b"multipart/form-data; boundary=xx", PART),
        ("/v1/read", b"application/json", b'{"pictures": [{"data": "'),
        ("/v1/chat/completions", b"application/json", b'{"model": "'),
        ("/v1/jobs", b"application/zip", b"PK"),
        ("/v1/jobs", b"Application/ZIP; v=1", b"PK"),
    ],
)
def test_bodies_that_never_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, pause: float, status: int,
    address: str, kind: bytes, beginning: bytes,
) -> None:  # fmt: skip
    """Each has its answer and is closed, without a trace on the disk or in the memory's budget."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(body, "DRAIN_SECONDS", 0.1)
    limits = Limits(
        body_bytes=500_000, job_bytes=500_000, memory_bytes=600_000, upload_seconds=0.2,
        job_upload_seconds=0.2,
    )  # fmt: skip
    jobs = JobStore(tmp_path)
    app = create_app(ScriptedReader(), limits=limits, jobs=jobs)
    head = b"POST %s HTTP/1.1\r\n%bContent-Type: %b\r\n\r\n" % (address.encode(), CHUNKED, kind)
    chunk = b"%x\r\n%b\r\n" % (size, b"a" * size)
    with listening(app) as place, socket.create_connection(place, timeout=10) as connection:
        connection.sendall(head + b"%x\r\n%b\r\n" % (len(beginning), beginning))

        def send() -> None:
            with contextlib.suppress(OSError):  # until the server has closed the connection
                while True:
                    connection.sendall(chunk)
                    time.sleep(pause)

        sender = threading.Thread(target=send)
        sender.start()
        answer, start = b"", time.monotonic()
        with contextlib.suppress(ConnectionError):
            while received := connection.recv(65536):
                answer += received
        sender.join(5)
        assert not sender.is_alive()
        assert time.monotonic() - start < 6
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status
        files = {"file": ("x", OTHER + bytes(400_000))}  # most of the budget
        url = f"http://127.0.0.1:{place[1]}/v1/read"
        assert httpx.post(url, files=files).status_code == 200
    jobs.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("is_reading", [False, True])
def test_responses_that_are_not_received(monkeypatch: pytest.MonkeyPatch, is_reading: bool) -> None:
    """A client that takes nothing loses its connection; one that takes a little at a time does not."""
    ended = threading.Event()
    size = 30_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(size), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.3)
    with listening(app) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = 0
        if is_reading:
            start = time.monotonic()
            while block := connection.recv(2_000_000):
                received += len(block)
                if received < size / 2:
                    time.sleep(0.1)
            assert time.monotonic() - start > 0.6  # longer than a client that takes nothing has
            assert received > size
        assert ended.wait(5)


def test_a_new_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle ones go first, then those whose body is arriving; a request that is complete stays."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    may_end = threading.Event()

    class Waiting(ScriptedReader):
        def read_many(self, pictures: Any) -> Any:
            may_end.wait(10)
            return super().read_many(pictures)

    def is_open(connection: socket.socket) -> bool:
        connection.settimeout(0.1)
        try:
            return bool(connection.recv(1))
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    complete = POST + FORM + b"Content-Length: %d\r\n\r\n"
    form = PART + OTHER + b"\r\n--xx--\r\n"
    beginnings = [
        complete % len(form) + form,
        complete % 5000 + PART,
        complete % 5000 + PART,
        b"",
        b"",
    ]
    with listening(create_app(Waiting())) as address, contextlib.ExitStack() as stack:
        opened = []
        for beginning in beginnings:
            opened.append(stack.enter_context(socket.create_connection(address, timeout=10)))
            opened[-1].sendall(beginning)
            time.sleep(0.1)
        # The fourth closed the second, as none was idle; the fifth closed the fourth.
        assert [is_open(one) for one in opened] == [True, False, True, False, True]
        may_end.set()
        opened[0].settimeout(10)
        assert opened[0].recv(100).startswith(b"HTTP/1.1 200")


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
@pytest.mark.parametrize(
    "beginning",
    [b"", POST, POST + FORM + b"Content-Length: 5000\r\n\r\n" + PART],
    ids=["nothing", "half a head", "half a body"],
)
def test_two_thousand_connections_do_not_lock_others_out(beginning: bytes) -> None:
    server = Server()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    opened: list[socket.socket] = []
    try:
        for _ in range(2000):
            opened.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            with contextlib.suppress(ConnectionError):
                opened[-1].sendall(beginning)
        assert httpx.get(f"{server.url}/v1/ready", timeout=20).status_code == 200
        answer = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}, timeout=60)
        assert answer.status_code == 200
    finally:
        for connection in opened:
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
