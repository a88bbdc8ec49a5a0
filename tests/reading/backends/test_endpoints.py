"""Several servers with one model: real HTTP, some of which fails."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from fake_server import Body, answer, fake, formula

from texlens.errors import InputError
from texlens.reading.backends.remote import RemoteReader
from texlens.reading.sources import Item


def slowly(seconds: float) -> Any:
    def behaviour(_: Body) -> tuple[int, dict[str, str], Any]:
        time.sleep(seconds)
        return 200, {}, answer("x")

    return behaviour


def pictures(count: int) -> list[Item]:
    return [Item(str(number), formula(f"x = {number}")) for number in range(count)]


def test_the_least_busy_server_is_asked() -> None:
    with fake(slowly(0.2)) as (slow, at_slow), fake(slowly(0.01)) as (fast, at_fast):
        reader = RemoteReader([slow, fast], "m", concurrency=4)
        readings = list(reader.read_many(pictures(40)))
    assert [reading.path for reading in readings] == [str(number) for number in range(40)]
    assert all(reading.latex == "x" for reading in readings)
    assert len(at_slow) + len(at_fast) == 40
    assert len(at_fast) > 3 * len(at_slow) > 0


def test_another_server_does_what_one_fails_at() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with (
            fake(lambda _: (503, {}, {"error": {"message": "loading"}})) as (broken, at_broken),
            fake(slowly(0.0)) as (works, at_works),
        ):
            reader = RemoteReader([nobody, broken, works], "m", concurrency=3)
            readings = list(reader.read_many(pictures(30)))
    assert all(reading.error is None for reading in readings)
    assert len(at_works) == 30
    assert len(at_broken) < 10  # it rests


def test_a_server_that_hangs_leaves_time_for_another() -> None:
    release = threading.Event()

    def hangs(_: Body) -> tuple[int, dict[str, str], Any]:
        release.wait(10)
        return 200, {}, answer("late")

    with fake(hangs) as (stuck, _), fake(slowly(0.0)) as (works, _):
        reader = RemoteReader([stuck, works], "m", concurrency=2, timeout_s=3)
        readings = list(reader.read_many(pictures(6)))
        release.set()
    assert [reading.latex for reading in readings] == ["x"] * 6


def test_an_address_is_given_once() -> None:
    with pytest.raises(InputError, match="given twice"):
        RemoteReader(["http://a/v1", "http://a/v1/"], "m")
