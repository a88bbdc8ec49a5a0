"""Whose picture is read next, and how short a batch must be."""

from __future__ import annotations

import asyncio

import pytest

from texlens.reading.sources import Item
from texlens.serve.models.batch_times import BatchTimes
from texlens.serve.models.suspects import Suspects
from texlens.serve.models.turns import Job, Pending, Turns


@pytest.fixture(autouse=True)
def _loop() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())


def add(turns: Turns, client: str, names: str) -> Pending:
    loop = asyncio.get_event_loop()
    return turns.add(client, [Job(Item(name, b""), loop.create_future()) for name in names])


def names(jobs: list[Job]) -> str:
    return "".join(job.item.name for job in jobs)


def test_clients_take_turns_and_so_do_their_requests() -> None:
    turns = Turns()
    add(turns, "large", "ABCDEF")
    add(turns, "large", "GHIJKL")
    add(turns, "small", "x")
    assert len(turns) == 13
    assert turns.of("large") == 12
    assert names(turns.take(6, 6)) == "AxGBHC"
    assert turns.of("small") == 0
    assert names(turns.take(99, 99)) == "IDJEKFL"
    assert len(turns) == 0


def test_pictures_of_large_requests_can_be_few() -> None:
    turns = Turns()
    add(turns, "a", "ABCDEFGH")
    for name in "xyz":
        add(turns, name, name)
    assert names(turns.take(64, 2)) == "AxyzB"
    assert names(turns.take(64, 2)) == "CD"
    assert names(turns.take(64, 1)) == "E"
    assert names(turns.take(64, 1)) == "F"
    assert names(turns.take(64, 1)) == "GH"  # the last picture ends the request


def test_a_request_can_be_removed() -> None:
    turns = Turns()
    request = add(turns, "a", "ABC")
    add(turns, "a", "x")
    turns.take(1, 1)
    turns.remove(request)
    turns.remove(request)
    assert names(turns.take(9, 9)) == "x"
    assert len(turns) == turns.of("a") == 0


def test_a_picture_that_must_be_alone_is() -> None:
    turns = Turns()
    for name in "aXbX":
        add(turns, "c", name)
    batches = [names(turns.take(9, 9, lambda item: item.name == "X")) for _ in range(4)]
    assert batches == ["a", "X", "b", "X"]


@pytest.mark.parametrize(
    ("fixed", "per_picture", "expected"), [(0.0, 0.05, 1), (0.1, 0.05, 2), (2.0, 0.01, 101)]
)
def test_batches_that_take_hardly_longer_than_one_picture(
    fixed: float, per_picture: float, expected: int
) -> None:
    times = BatchTimes()
    assert times.pictures_in_short() == 1  # nothing is known
    for count in (1, 3, 8, 64, 2, 5) * 3:
        times.add(count, fixed + per_picture * count)
    assert times.pictures_in_short() == pytest.approx(expected, abs=1)


def test_a_picture_that_is_there_twice_is_blamed_once() -> None:
    suspects = Suspects()
    batch = [Item("a", b"x"), Item("b", b"x"), Item("c", b"y")]
    suspects.blame(batch)
    suspects.blame(batch[:1])
    assert batch[1] in suspects
    assert not suspects.is_refused(batch[1])
    suspects.blame(batch[:1])
    assert suspects.is_refused(batch[1])
    assert not suspects.is_refused(batch[2])
    suspects.clear(batch[:1])
    assert batch[0] not in suspects
    assert batch[2] in suspects
