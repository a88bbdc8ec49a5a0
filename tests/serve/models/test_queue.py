"""The queue of pictures, with readers that are slow or fail on purpose."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, MutableMapping
from contextlib import asynccontextmanager

import httpx
import pytest
from serving import chat, client_of, data_address, png, problem
from starlette.exceptions import HTTPException

from texlens.errors import TexlensError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve import Limits, create_app
from texlens.serve.models.base import LocalModel
from texlens.serve.models.queue import ReadingQueue


class Gated:
    """A reader whose reading of a picture is its name, once `gate` is open."""

    batch_size = 8

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        if is_open:
            self.gate.set()

    def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
        items = list(pictures)
        self.batches.append([item.name for item in items])
        assert self.gate.wait(10)
        for item in items:
            if item.name == "bad":
                raise RuntimeError("a fault in the model")
            yield Reading(item.name, item.name, 1.0)

    @property
    def seen(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


def item(name: str) -> Item:
    return Item(name, b"")


@asynccontextmanager
async def running(queue: ReadingQueue) -> AsyncIterator[None]:
    queue.start()
    yield
    await queue.close()


async def started(reader: Gated) -> None:
    """Wait until the first batch is being read."""
    async with asyncio.timeout(20):
        while not reader.batches:
            await asyncio.sleep(0.001)


def test_pictures_of_many_clients_are_read_together() -> None:
    reader = Gated()
    queue = ReadingQueue(LocalModel(reader), 100)

    async def clients() -> list[list[Reading]]:
        work = [queue.read([item(f"{place}")]) for place in range(16)]
        answers = asyncio.gather(*work)
        await asyncio.sleep(0)  # all are in the queue before it starts
        async with running(queue):
            return await answers

    answers = asyncio.run(clients())
    assert [reading.latex for (reading,) in answers] == [f"{place}" for place in range(16)]
    assert [len(batch) for batch in reader.batches] == [8, 8]


def test_a_batch_waits_for_what_follows_closely() -> None:
    reader = Gated()
    queue = ReadingQueue(LocalModel(reader), 100)

    async def clients() -> None:
        async with running(queue):
            first = asyncio.ensure_future(queue.read([item("a")]))
            await asyncio.sleep(0)
            await asyncio.gather(first, queue.read([item("b")]), queue.read([item("c")]))

    asyncio.run(clients())
    assert reader.batches == [["a", "b", "c"]]


def test_a_full_queue_refuses_requests_and_recovers() -> None:
    reader = Gated(is_open=False)
    picture = png(4, 4)

    async def post(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/read", files=[("file", picture)] * 4)

    async def clients() -> tuple[list[httpx.Response], httpx.Response]:
        async with client_of(reader, Limits(waiting=8)) as client:
            first = asyncio.ensure_future(post(client))
            await started(reader)
            rest = [asyncio.ensure_future(post(client)) for _ in range(4)]
            refused = [await answer for answer in itertools.islice(asyncio.as_completed(rest), 2)]
            assert all(answer.status_code == 503 for answer in refused)
            reader.gate.set()
            return await asyncio.gather(first, *rest), await post(client)

    answers, later = asyncio.run(clients())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
    for answer in answers:
        if answer.status_code == 503:
            assert "Too many pictures" in problem(answer)
            assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert later.status_code == 200


def test_no_answer_in_time() -> None:
    reader = Gated(is_open=False)

    async def client_waits() -> httpx.Response:
        async with client_of(reader, Limits(answer_seconds=0.05)) as client:
            answer = await client.post("/v1/read", files=[("file", png(4, 4))])
            reader.gate.set()
            return answer

    answer = asyncio.run(client_waits())
    assert answer.status_code == 503
    assert "within 0.05 seconds" in problem(answer)


def test_pictures_of_a_client_that_left_are_not_read() -> None:
    reader = Gated(is_open=False)
    queue = ReadingQueue(LocalModel(reader), 4)

    async def clients() -> None:
        async with running(queue):
            first = asyncio.ensure_future(queue.read([item("first")]))
            await started(reader)
            gone = asyncio.ensure_future(queue.read([item("gone")] * 4))
            await asyncio.sleep(0.01)
            with pytest.raises(HTTPException):
                await queue.read([item("no room")])
            gone.cancel()
            await asyncio.sleep(0.01)
            last = asyncio.ensure_future(queue.read([item("last")]))
            await asyncio.sleep(0.01)
            reader.gate.set()
            await asyncio.gather(first, last)

    asyncio.run(clients())
    assert reader.seen == ["first", "last"]


def test_the_request_of_a_client_that_left_ends() -> None:
    reader = Gated(is_open=False)
    app = create_app(reader)
    request = httpx.Request("POST", "http://localhost/v1/read", files=[("file", png(4, 4))])
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/read",
        "query_string": b"",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in request.headers.items()
        ],
    }
    body = {"type": "http.request", "body": request.read(), "more_body": False}

    async def client_leaves() -> None:
        async def receive() -> dict[str, object]:
            if body in sent:
                await started(reader)
                return {"type": "http.disconnect"}
            sent.append(body)
            return body

        async def send(message: MutableMapping[str, object]) -> None:
            sent.append(message)

        sent: list[object] = []
        async with app.router.lifespan_context(app):
            async with asyncio.timeout(5):
                await app(scope, receive, send)
            reader.gate.set()

    asyncio.run(client_leaves())


def test_an_error_affects_only_the_picture_that_caused_it(caplog: pytest.LogCaptureFixture) -> None:
    queue = ReadingQueue(LocalModel(Gated()), 100)

    async def clients() -> list[object]:
        work = [queue.read([item(name)]) for name in ("a", "bad", "b")]
        answers = asyncio.gather(*work, return_exceptions=True)
        await asyncio.sleep(0)
        async with running(queue):
            return list(await answers)

    first, bad, last = asyncio.run(clients())
    assert isinstance(bad, RuntimeError)
    assert first == [Reading("a", "a", 1.0)]
    assert last == [Reading("b", "b", 1.0)]
    assert "could not be read" in caplog.text


def test_an_internal_error_is_a_problem_document_without_details() -> None:
    class Broken(Gated):
        def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
            raise RuntimeError("secret")

    async def client_asks() -> httpx.Response:
        async with client_of(Broken()) as client:
            return await client.post("/v1/chat/completions", json=chat(data_address(png(4, 4))))

    answer = asyncio.run(client_asks())
    assert answer.status_code == 500
    assert "secret" not in problem(answer)


def test_a_model_that_cannot_be_reached_is_no_fault_of_the_pictures() -> None:
    class Unreachable(Gated):
        def read_many(self, pictures: Iterable[Item]) -> Iterator[Reading]:
            self.batches.append([item.name for item in pictures])
            raise TexlensError("The server at http://model cannot be reached.")

    reader = Unreachable()

    async def client_asks() -> httpx.Response:
        async with client_of(reader) as client:
            return await client.post("/v1/read", files=[("file", png(4, 4))] * 3)

    answer = asyncio.run(client_asks())
    assert answer.status_code == 502
    assert problem(answer) == "The server at http://model cannot be reached."
    assert len(reader.batches) == 1
