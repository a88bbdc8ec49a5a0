"""The model in a process of its own: that it ends, hangs, grows, or that nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from scripted import ScriptedReader, no_reader
from starlette.exceptions import HTTPException

from texlens.errors import InputError
from texlens.reading.sources import Item
from texlens.records import Reading
from texlens.serve.models import process as model_process
from texlens.serve.models.base import ModelUnavailable
from texlens.serve.models.process import ModelProcess
from texlens.serve.models.queue import ReadingQueue


def items(*names: str) -> list[Item]:
    return [Item(name, name.encode()) for name in names]


@pytest.fixture
def model() -> Iterator[ModelProcess]:
    process = ModelProcess(ScriptedReader, hang_seconds=1.5)
    yield process
    process.close()
    assert process.pid is None


def until_ready(model: ModelProcess, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while model.state() != "ready":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_reads_and_is_another_process(model: ModelProcess) -> None:
    assert model.batch_size == 8
    assert model.state() == "ready"
    assert model.pid != os.getpid()
    assert model.memory_bytes > 1_000_000
    assert model.read(items("a", "b")) == [Reading("a", "a", 1.0), Reading("b", "b", 1.0)]


def test_a_fault_costs_its_picture_alone(model: ModelProcess) -> None:
    first, fault, last = model.read(items("a", "fails", "b"))
    assert isinstance(fault, RuntimeError)
    assert "secret" not in str(fault)
    assert (first, last) == (Reading("a", "a", 1.0), Reading("b", "b", 1.0))
    assert not model.restarts


def test_a_model_that_cannot_be_opened_is_the_users_error() -> None:
    with pytest.raises(InputError, match="There is no model"):
        ModelProcess(no_reader, hang_seconds=1)


@pytest.mark.parametrize(("name", "reason"), [("dies", "crash"), ("hangs", "hang")])
def test_a_process_that_ends_or_hangs_is_replaced(
    model: ModelProcess, name: str, reason: str
) -> None:
    before = model.pid
    with pytest.raises(ModelUnavailable, match="started again") as caught:
        model.read(items("a", name))
    assert caught.value.ended
    with pytest.raises(ModelUnavailable) as caught:  # at once
        model.read(items("a"))
    assert not caught.value.ended
    until_ready(model)
    assert model.pid != before
    assert dict(model.restarts) == {reason: 1}
    assert model.read(items("a")) == [Reading("a", "a", 1.0)]


def test_a_process_that_is_killed_between_batches_is_replaced(model: ModelProcess) -> None:
    before = model.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while model.pid in (before, None):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert model.read(items("a")) == [Reading("a", "a", 1.0)]


def test_a_process_that_has_grown_is_replaced_after_its_batch(model: ModelProcess) -> None:
    assert model.read(items("grows")) == [Reading("grows", "grows", 1.0)]
    assert model.state() == "unavailable"
    until_ready(model)
    assert dict(model.restarts) == {"memory": 1}


def test_a_cancelled_batch_ends_at_its_next_heartbeat(model: ModelProcess) -> None:
    before = model.pid
    batch = items("works long")
    threading.Timer(0.3, model.cancel, [batch]).start()
    (result,) = model.read(batch)
    assert isinstance(result, Exception)
    assert model.read(items("a")) == [Reading("a", "a", 1.0)]
    assert model.pid == before


def test_a_cancelled_batch_without_heartbeat_ends_with_its_process(
    model: ModelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_process, "_CANCEL_SECONDS", 0.2)
    model._hang_seconds = 600
    batch = items("hangs")
    threading.Timer(0.1, model.cancel, [batch]).start()
    with pytest.raises(ModelUnavailable):
        model.read(batch)


def test_closing_ends_a_batch(model: ModelProcess) -> None:
    threading.Timer(0.2, model.close).start()
    start = time.monotonic()
    with pytest.raises(ModelUnavailable):
        model.read(items("hangs"))
    assert time.monotonic() - start < 1.4


def test_the_queue_ends_a_batch_that_nobody_waits_for(model: ModelProcess) -> None:
    async def clients() -> list[Reading]:
        queue = ReadingQueue(model, 10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await queue.read(items("works long", "works long"))
        try:
            async with asyncio.timeout(5):
                return await queue.read(items("a"))
        finally:
            await queue.close()

    assert asyncio.run(clients()) == [Reading("a", "a", 1.0)]
    assert not model.restarts


def test_a_picture_that_ends_the_process_harms_others_once(model: ModelProcess) -> None:
    """The others are refused once, then read; the guilty one is refused for good."""

    waits: list[int] = []

    async def clients() -> tuple[list[Reading], HTTPException]:
        queue = ReadingQueue(model, 100)

        async def ask(name: str) -> list[Reading]:
            while True:
                try:
                    return await queue.read(items(name))
                except HTTPException as refusal:
                    if refusal.status_code != 503:
                        raise
                    waits.append(int((refusal.headers or {})["Retry-After"]))
                    await asyncio.sleep(0.1)

        try:
            async with asyncio.timeout(40):
                *good, bad = await asyncio.gather(
                    *map(ask, "abcd"), ask("dies"), return_exceptions=True
                )
        finally:
            await queue.close()
        assert isinstance(bad, HTTPException)
        return [reading for answer in good for reading in answer], bad  # type: ignore[union-attr]

    readings, refusal = asyncio.run(clients())
    assert [reading.latex for reading in readings] == list("abcd")
    assert refusal.status_code == 422
    assert model.restarts["crash"] == 3
    assert min(waits) >= 1
