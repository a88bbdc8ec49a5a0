"""The responses of the API to good and bad requests, with the embedded model in this process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from PIL import Image
from serving import DEMO, FORMULA, OTHER, chat, client_of, data_address, png, problem

from texlens.errors import InputError
from texlens.reading import Reader
from texlens.records import WARNINGS
from texlens.serve import Limits
from texlens.serve.middleware import body
from texlens.serve.middleware.auth import AccessPolicy

Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


def answer(
    reader: Reader, ask: Ask, limits: Limits | None = None, policy: AccessPolicy | None = None
) -> httpx.Response:
    """The response of a new server to one request."""

    async def asked() -> httpx.Response:
        async with client_of(reader, limits, policy) as client:
            return await ask(client)

    return asyncio.run(asked())


def post(address: str, **request: Any) -> Ask:
    return lambda client: client.post(address, **request)


def upload(*contents: bytes) -> Ask:
    return post("/v1/read", files=[("file", ("a.png", content)) for content in contents])


def bomb() -> bytes:
    """A PNG of a few kilobytes that unpacks to 10 gigapixels."""
    small = png(1, 1)
    head = (100_000).to_bytes(4, "big") * 2 + small[24:29]
    crc = zlib.crc32(b"IHDR" + head).to_bytes(4, "big")
    return small[:16] + head + crc + small[33:]


def test_readings_are_those_of_the_reader(reader: Reader) -> None:
    response = answer(reader, upload(FORMULA, OTHER)).json()["readings"]
    expected = [reading.as_json() for reading in reader.read_many([FORMULA, OTHER])]
    for record, wanted in zip(response, expected, strict=True):
        assert record["path"] == "a.png"
        assert record["latex"] == wanted["latex"]
        assert record["warnings"] == wanted["warnings"]
        assert record["messages"] == [WARNINGS[code] for code in wanted["warnings"]]
        assert len(record["tokens"]) == len(wanted["tokens"])


def test_json_and_data_addresses(reader: Reader) -> None:
    plain = {"data": base64.b64encode(FORMULA).decode(), "name": "mine"}
    body = {"pictures": [plain, {"data": data_address(FORMULA)}]}
    one, two = answer(reader, post("/v1/read", json=body)).json()["readings"]
    assert (one["path"], two["path"]) == ("mine", "picture 2")
    assert one["latex"] == two["latex"] == reader.read(FORMULA).latex


def test_a_bad_picture_among_good_ones(reader: Reader) -> None:
    response = answer(reader, upload(FORMULA, b"nonsense", b""))
    assert response.status_code == 200
    good, nonsense, empty = response.json()["readings"]
    assert good["latex"]
    assert "error" not in good
    assert "not PNG" in nonsense["error"]
    assert "empty" in empty["error"]


def test_pictures_that_are_too_large_together(reader: Reader) -> None:
    response = answer(reader, upload(*[png(4, 4)] * 3), Limits(request_pixels=40))
    assert response.status_code == 413
    assert "Together" in problem(response)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"nonsense", 415, "not PNG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', 415, "not PNG"),
        (b"%PDF-1.7", 415, "not PNG"),
        (b"", 422, "empty"),
        (OTHER[: len(OTHER) // 2], 422, "cut short"),
        (bomb(), 413, "pixels"),
        (png(40_000, 1_000), 413, "40,000 x 1,000"),
    ],
)
def test_a_picture_that_cannot_be_read(
    reader: Reader, content: bytes, status: int, words: str
) -> None:
    response = answer(reader, upload(content))
    assert response.status_code == status
    assert words in problem(response)


def test_names_are_only_names(reader: Reader) -> None:
    names = ["../../etc/passwd", "C:\\x\\passwd", "/a/\x00pass\nwd"]
    pictures = [{"data": data_address(OTHER), "name": name} for name in names]
    response = answer(reader, post("/v1/read", json={"pictures": pictures})).json()
    assert {reading["path"] for reading in response["readings"]} == {"passwd"}


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=xx"}
PART = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "multipart"),
        ({"content": FORMULA, "headers": {"Content-Type": "image/png"}}, 415, "multipart"),
        ({}, 415, "multipart"),
        ({"content": b"{", "headers": JSON}, 400, "not valid JSON"),
        ({"content": b"[" * 100_000, "headers": JSON}, 400, "not valid JSON"),
        ({"json": []}, 422, "object"),
        ({"json": {}}, 422, "'pictures'"),
        ({"json": {"pictures": []}}, 422, "'pictures'"),
        ({"json": {"pictures": [{"data": 3}]}}, 422, "'pictures.0.data'"),
        ({"json": {"pictures": [{"data": "", "url": "x"}]}}, 422, "'pictures.0.url'"),
        ({"json": {"pictures": [{"data": "no base 64!"}]}}, 422, "base64"),
        ({"json": {"pictures": [{"data": "http://127.0.0.1/a.png"}]}}, 422, "never fetched"),
        ({"json": {"pictures": [{"data": "file:///etc/passwd"}]}}, 422, "never fetched"),
        ({"json": {"pictures": [{"data": "data:image/png,abc"}]}}, 422, "base64"),
        ({"json": {"pictures": [{"data": "YQ=="}] * 1000}}, 413, "at most 64 pictures"),
        ({"files": [("file", b"a")] * 1000}, 413, "at most 64 pictures"),
        ({"files": [("image", b"a")]}, 422, "'image' is unknown"),
        ({"content": PART, "headers": FORM}, 400, "cut short"),
        ({"content": b"--xx--\r\n", "headers": FORM}, 422, "no picture"),
        ({"content": b"\x00" * 50, "headers": FORM}, 400, "multipart form"),
        ({"content": PART, "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": {**JSON, "Content-Encoding": "gzip"}}, 415, "Compressed"),
    ],
)  # fmt: skip
def test_bad_requests(reader: Reader, request_: dict[str, Any], status: int, words: str) -> None:
    response = answer(reader, post("/v1/read", **request_))
    assert response.status_code == status, response.text
    assert words in problem(response)


def test_a_body_that_is_too_large_by_its_length_or_by_its_content(reader: Reader) -> None:
    limits = Limits(body_bytes=10_000)

    async def endless() -> Any:
        yield PART
        while True:
            yield b"x" * 100_000

    for content in (PART + b"x" * 10_001, endless()):
        response = answer(reader, post("/v1/read", content=content, headers=FORM), limits)
        assert response.status_code == 413
        assert "larger than" in problem(response)


def test_all_bodies_share_a_memory_budget(reader: Reader) -> None:
    async def many() -> tuple[list[int], int]:
        limits = Limits(memory_bytes=2 * len(OTHER))
        async with client_of(reader, limits) as client:
            response = await asyncio.gather(*(upload(OTHER)(client) for _ in range(4)))
            assert all("retry-after" in one.headers for one in response if one.status_code == 503)
            return [one.status_code for one in response], (await upload(OTHER)(client)).status_code

    together, afterwards = asyncio.run(many())
    assert sorted(together) == [200, 503, 503, 503]
    assert afterwards == 200


def test_a_body_that_arrives_too_slowly(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "DRAIN_SECONDS", 0.1)

    async def slow() -> Any:
        yield b"--xx"
        await asyncio.sleep(30)

    limits = Limits(upload_seconds=0.1)
    response = answer(reader, post("/v1/read", content=slow(), headers=FORM), limits)
    assert response.status_code == 408
    assert "within 0.1 seconds" in problem(response)


def test_a_formula_is_rendered(reader: Reader) -> None:
    response = answer(reader, post("/v1/render", json={"latex": r"$\frac{a}{b}$"}))
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.text.startswith("<svg")
    response = answer(reader, post("/v1/render", json={"latex": "x", "format": "png"}))
    assert response.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"latex": r"\frac{a}{"}, 422, "cannot be rendered"),
        ({"latex": r"\notacommand"}, 422, "cannot be rendered"),
        ({"latex": " "}, 422, "empty"),
        ({"latex": "x" * 30_000}, 413, "20,000 characters"),
        ({"latex": "x", "format": "exe"}, 422, "'format'"),
        ({"latex": "x", "em_px": 1e9}, 422, "'em_px'"),
        ({"latex": r"\def\x{\x\x}\x"}, 422, "cannot be rendered"),
        ({"latex": None}, 422, "'latex'"),
    ],
)
def test_formulas_that_cannot_be_rendered(
    reader: Reader, body: dict[str, Any], status: int, words: str
) -> None:
    response = answer(reader, post("/v1/render", json=body))
    assert response.status_code == status
    assert words in problem(response)


def test_renderings_of_hostile_formulas_run_and_load_nothing(reader: Reader) -> None:
    for latex in (
        r"\href{javascript:alert(1)}{x}",
        r"\text{<script>alert(1)</script>}",
        r"\includegraphics{http://a/b.png}",
        r"\class{a}{x}\style{background:url(http://a)}{y}",
    ):
        response = answer(reader, post("/v1/render", json={"latex": latex}))
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        for forbidden in ("<script", "javascript:", "http://a", "<image", "onload"):
            assert forbidden not in response.text.replace("&lt;", "‹"), latex


def test_chat_completion(reader: Reader) -> None:
    body = chat(data_address(FORMULA), logprobs=True)
    response = answer(reader, post("/v1/chat/completions", json=body)).json()
    (choice,) = response["choices"]
    expected = reader.read(FORMULA)
    assert choice["message"]["content"] == expected.normal
    assert choice["finish_reason"] == "stop"
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).strip() == expected.normal


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        (chat("https://example.org/a.png"), "never fetched", None),
        (chat(data_address(FORMULA), n=11), "less than or equal to 10", "n"),
        (chat(data_address(FORMULA), n=0), "greater than or equal to 1", "n"),
        (chat(data_address(FORMULA), n="many"), "integer", "n"),
        ({"model": "m", "messages": []}, "'messages'", "messages"),
        (
            {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
            "one picture",
            "messages",
        ),
        (
            {"model": "m", "messages": [{"role": "king", "content": "hello"}]},
            "'messages.0.role'",
            "messages.0.role",
        ),
    ],
)
def test_chat_requests_that_cannot_be_answered(
    reader: Reader, body: dict[str, Any], words: str, param: str | None
) -> None:
    response = answer(reader, post("/v1/chat/completions", json=body))
    assert response.status_code == 400
    assert words in problem(response)
    error = response.json()["error"]
    assert error["message"] == response.json()["detail"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


def test_hosts(reader: Reader) -> None:
    def status(host: str, policy: AccessPolicy | None = None) -> int:
        def health(client: httpx.AsyncClient) -> Awaitable[httpx.Response]:
            return client.get("/v1/health", headers={"Host": host})

        return answer(reader, health, policy=policy).status_code

    for host in ("localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000", "LOCALHOST"):
        assert status(host) == 200
    for host in ("evil.example", "localhost.evil.example", "192.168.1.9", "[::2]", "", "::"):
        assert status(host) == 421
    public = AccessPolicy(is_public=True, names=["Lens.example"], token="t")
    assert status("192.168.1.9:80", public) == 200
    assert status("lens.example", public) == 200
    assert status("evil.example", public) == 421


def test_foreign_origins_and_no_cors(reader: Reader) -> None:
    def ask(origin: str) -> httpx.Response:
        return answer(
            reader, post("/v1/render", json={"latex": "x"}, headers={"Origin": origin})
        )  # fmt: skip

    for origin in ("https://evil.example", "null", "http://localhost:81", "", "file://"):
        response = ask(origin)
        assert response.status_code == 403, origin
        assert "other sites" in problem(response)
    response = ask("http://localhost")
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]

    def preflight(client: httpx.AsyncClient) -> Awaitable[httpx.Response]:
        return client.options("/v1/read", headers={"Origin": "https://evil.example"})

    assert answer(reader, preflight).status_code == 403


def test_a_token(reader: Reader) -> None:
    policy = AccessPolicy(token="s3cret")

    def status(address: str, authorization: str | None) -> int:
        headers = {} if authorization is None else {"Authorization": authorization}

        def get(client: httpx.AsyncClient) -> Awaitable[httpx.Response]:
            return client.get(address, headers=headers)

        response = answer(reader, get, policy=policy)
        if response.status_code == 401:
            assert "token" in problem(response)
            assert response.headers["www-authenticate"] == "Bearer"
        return response.status_code

    for wrong in (None, "", "s3cret", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cretx"):
        assert status("/v1/models", wrong) == 401
    assert status("/v1/models", "Bearer s3cret") == 200
    for open_address in ("/", "/page.js", "/v1/health", "/docs"):
        assert status(open_address, None) == 200


@pytest.mark.parametrize("token", ["two words", "ümlaut", "line\nbreak"])
def test_a_token_that_cannot_be_sent_in_a_header(token: str) -> None:
    with pytest.raises(InputError, match="printable ASCII"):
        AccessPolicy(token=token)


def test_every_answer_has_its_safety_headers(reader: Reader) -> None:
    for ask in (
        post("/v1/render", json={"latex": "x"}),
        post("/v1/read"),
        lambda client: client.get("/"),
        lambda client: client.get("/v1/health", headers={"Host": "evil.example"}),
    ):
        response = answer(reader, ask)
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "address", ["/../pyproject.toml", "/%2e%2e/secret", "/page/../app.py", "/page.js/", "/nothing"]
)
def test_there_are_no_files_behind_addresses(reader: Reader, address: str) -> None:
    response = answer(reader, lambda client: client.get(address))
    assert response.status_code == 404
    problem(response)


def test_a_wrong_method(reader: Reader) -> None:
    response = answer(reader, lambda client: client.get("/v1/read"))
    assert response.status_code == 405
    assert "GET is not allowed" in problem(response)


def test_the_description_is_complete(reader: Reader) -> None:
    document = answer(reader, lambda client: client.get("/openapi.json")).json()
    named = set(document["components"]["schemas"])
    used = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert used <= named
    assert {"/v1/read", "/v1/render", "/v1/chat/completions", "/v1/health"} <= set(
        document["paths"]
    )
    assert "ReadRequest" in used


def test_pages_load_nothing_from_elsewhere(reader: Reader) -> None:
    for address in ("/", "/docs"):
        text = answer(reader, lambda client, address=address: client.get(address)).text
        assert "<script>" not in text
        assert " style=" not in text
        assert "http" not in text.replace('content="https', "").replace("<code>http", "")


def test_alternatives_and_all_formats_in_one_call(reader: Reader) -> None:
    name = "05-cauchy-schwarz.png"
    files = {"file": (name, (DEMO / name).read_bytes())}
    request = post("/v1/read?alternatives=3&formats=all", files=files)
    (reading,) = answer(reader, request).json()["readings"]
    assert 1 <= len(reading["alternatives"]) <= 3
    probabilities = [other["probability"] for other in reading["alternatives"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) + reading["confidence"] <= 1.0
    others = [other["normal"] for other in reading["alternatives"]]
    assert len({reading["normal"], *others}) == len(others) + 1
    formats = reading["formats"]
    assert formats["svg"].startswith("<svg")
    assert base64.b64decode(formats["png"]).startswith(b"\x89PNG")
    assert base64.b64decode(formats["docx"]).startswith(b"PK")
    assert "<math" in formats["mathml"]
    assert formats["typst"].startswith("$ ")
    (plain,) = answer(reader, post("/v1/read", files=files)).json()["readings"]
    assert plain["latex"] == reading["latex"]
    assert "alternatives" not in plain
    assert "formats" not in plain


@pytest.mark.parametrize("query", ["alternatives=10", "alternatives=x", "formats=svg,evil"])
def test_parameters_that_are_wrong(reader: Reader, query: str) -> None:
    refused = answer(reader, post(f"/v1/read?{query}", files={"file": OTHER}))
    assert refused.status_code == 422
    problem(refused)


def test_a_page_of_a_pdf(reader: Reader) -> None:
    pytest.importorskip("pypdfium2")
    stream = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(stream, "PDF", resolution=100)
    files = {"file": ("a.pdf", stream.getvalue())}
    page = answer(reader, post("/v1/page", files=files))
    assert page.headers["x-pages"] == "1"
    assert Image.open(io.BytesIO(page.content)).size == (800, 600)
    missing = answer(reader, post("/v1/page?number=2", files=files))
    assert missing.status_code == 404
    assert "1 pages" in problem(missing)
    assert answer(reader, post("/v1/page?number=0", files=files)).status_code == 422
    damaged = answer(reader, post("/v1/page", files={"file": OTHER}))
    assert damaged.status_code == 415
    problem(damaged)
