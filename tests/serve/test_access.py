"""Tokens, limits and turns of clients; origins; prefixes; what an operator sees."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from scripted import ScriptedReader
from serving import chat, client_of, data_address, png, problem
from starlette.applications import Starlette
from starlette.routing import Mount

from texlens.cli.serve import serve
from texlens.errors import InputError
from texlens.serve import AccessPolicy, Limits, create_app
from texlens.serve.middleware.tokens import Tokens, add_token, read_tokens

FILE = {"file": ("x", png(4, 4))}


def ask(
    script: Callable[[httpx.AsyncClient], Awaitable[Any]],
    reader: Any = None,
    **options: Any,
) -> Any:
    """What a script gets from a server in this process."""

    async def client() -> Any:
        async with client_of(reader or ScriptedReader(), **options) as client:
            return await script(client)

    return asyncio.run(client())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_named_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens"
    runner = CliRunner()
    made = [runner.invoke(serve, ["--tokens", str(path), "--add-token", name]) for name in "ab"]
    first, second = (result.output.strip() for result in made)
    assert first not in path.read_text()
    assert list(read_tokens(path)) == ["a", "b"]

    async def script(client: httpx.AsyncClient) -> list[int]:
        statuses = []
        for token in (first, second, "wrong", f"{first}x", ""):
            answer = await client.post("/v1/read", files=FILE, headers=bearer(token))
            statuses.append(answer.status_code)
        path.write_text(path.read_text().splitlines()[1] + "\n")  # `a` is locked out
        await asyncio.sleep(1.1)
        for token in (first, second):
            answer = await client.post("/v1/read", files=FILE, headers=bearer(token))
            statuses.append(answer.status_code)
        return statuses

    caplog.set_level(logging.INFO, "texlens.access")
    policy = AccessPolicy(tokens=path)
    assert ask(script, policy=policy) == [200, 200, 401, 401, 401, 401, 200]
    clients = [record.fields["client"] for record in caplog.records if hasattr(record, "fields")]
    assert clients[:3] == ["a", "b", "127.0.0.1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alice\n", "line 1"),
        ("# only a comment\n\n", "has no tokens"),
        (f"a sha256:{'0' * 64}\r\na sha256:{'1' * 64}\r\n", "twice"),
        (f"a b sha256:{'0' * 64}", "line 1"),
        (f"a sha256:{'0' * 63}", "line 1"),
        (f"a sha256:{'0' * 64}\x0bx", "line 2"),
    ],
)
def test_files_of_tokens_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=says):
        Tokens(path=path)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "../x", "a" * 65, "#a"])
def test_names_that_are_wrong(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        add_token(tmp_path / "tokens", name)
    assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX-Evil: 1", "a b", "\x00", "ä"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(InputError, match="printable ASCII"):
        AccessPolicy(token=token)


def test_one_client_cannot_fill_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    tokens = [add_token(path, name) for name in ("large", "small")]

    class Slow(ScriptedReader):
        def read_many(self, pictures: Any) -> Any:
            time.sleep(0.2)
            return super().read_many(pictures)

    async def script(client: httpx.AsyncClient) -> tuple[list[httpx.Response], httpx.Response]:
        many = [
            asyncio.ensure_future(
                client.post(
                    "/v1/read", files=[("file", FILE["file"])] * 8, headers=bearer(tokens[0])
                )
            )
            for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        small = await client.post("/v1/read", files=FILE, headers=bearer(tokens[1]))
        return list(await asyncio.gather(*many)), small

    limits = Limits(waiting=40, waiting_of_client=24)
    answers, small = ask(script, Slow(), limits=limits, policy=AccessPolicy(tokens=path))
    assert small.status_code == 200
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 1
    assert "your pictures" in problem(refused[0])
    assert int(refused[0].headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", ["/formulas/v1/read", "/v1/read"])
def test_a_proxy_may_keep_the_prefix_or_take_it_away(path: str) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post(path, files=FILE)
        assert answer.status_code == 200
        assert "X-Request-ID" in answer.headers
        answer = await client.get("/formulas")
        assert answer.headers["location"] == "/formulas/"
        assert (await client.get("/formulas/")).status_code == 200
        assert (await client.get("/formulas/v1/health")).json()["status"] == "ok"
        answer = await client.get("/formulas/openapi.json")
        assert answer.json()["servers"] == [{"url": "/formulas"}]
        answer = await client.post("/formulas/v1/chat/completions", json={})
        assert "message" in answer.json()["error"]

    ask(script, prefix="/formulas")


@pytest.mark.parametrize("outer", [FastAPI, Starlette])
def test_mounted_in_another_application(outer: Callable[..., Any]) -> None:
    """Whose lifespan is not that of the application in it."""
    inner = create_app(ScriptedReader(), policy=AccessPolicy(token="t"))
    app = outer(routes=[Mount("/tex", inner)])

    async def client_asks() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/tex/")).status_code == 200  # without a token
            assert (await client.get("/tex/page.css")).status_code == 200
            assert (await client.post("/tex/v1/read", files=FILE)).status_code == 401
            answer = await client.post("/tex/v1/read", files=FILE, headers=bearer("t"))
            assert answer.json()["readings"][0]["latex"] == "x"
        await inner.state.queue.close()

    asyncio.run(client_asks())


def test_pages_behind_a_proxy_that_replaces_the_host() -> None:
    async def script(client: httpx.AsyncClient) -> list[int]:
        statuses = []
        for headers in (
            {"Origin": "https://example.org", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "https://example.org:444"},  # named with --allow-host
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-site"},
            {"Origin": "https://example.org.evil.example"},
        ):
            answer = await client.post("/v1/read", files=FILE, headers=headers)
            statuses.append(answer.status_code)
        return statuses

    policy = AccessPolicy(names=["example.org"])
    assert ask(script, policy=policy) == [200, 200, 403, 403, 403]


def test_other_sites_only_if_they_are_named() -> None:
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}

    async def script(client: httpx.AsyncClient) -> list[str | None]:
        answers = [await client.options("/v1/read", headers=preflight)]
        for origin in ("https://a.example", "https://b.example"):
            answers.append(await client.post("/v1/read", files=FILE, headers={"Origin": origin}))
        return [answer.headers.get("access-control-allow-origin") for answer in answers]

    assert ask(script) == [None, None, None]
    policy = AccessPolicy(origins=["https://a.example"])
    assert ask(script, policy=policy) == ["https://a.example", "https://a.example", None]
    for origin in ("*", "a.example", "https://a.example/", "ftp://a", ""):
        with pytest.raises(InputError, match="no origin"):
            AccessPolicy(origins=[origin])


def test_metrics_and_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "texlens")

    async def script(client: httpx.AsyncClient) -> str:
        await client.post("/v1/read", files={"file": ("x^2", png(4, 4))})
        await client.post("/v1/read", files={"file": ("fails", png(4, 4))})
        await client.get("/v1/../%0a/etc", headers={"X-Request-ID": "mine-1"})
        answer = await client.get("/v1/models/x", headers={"X-Request-ID": "evil\tid"})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.text

    text = ask(script)
    for line in (
        'texlens_requests_total{address="/v1/read",method="POST",status="200"} 1.0',
        'texlens_requests_total{address="other",method="GET",status="404"} 1.0',
        'texlens_requests_total{address="/v1/models/{name}",method="GET",status="404"} 1.0',
        'texlens_readings_total{result="ok"} 1.0',
        'texlens_readings_total{result="error"} 1.0',
        "texlens_confidence_count 1.0",
        "texlens_queue_pictures 0.0",
        "process_resident_memory_bytes",
    ):
        assert line in text
    fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert [entry["status"] for entry in fields] == [200, 500, 404, 404, 200]
    assert fields[2]["id"] == "mine-1"
    assert all(entry["ms"] >= 0 and len(entry["id"]) >= 6 for entry in fields)
    assert "x^2" not in caplog.text  # neither names, nor LaTeX, nor messages of faults
    assert "x^2" not in json.dumps(fields)


def test_openai_clients_get_429_and_503_in_their_own_form() -> None:
    async def script(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/chat/completions", json=chat(data_address(png(4, 4))))

    answer = ask(script, limits=Limits(waiting=0))
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "server_error"
