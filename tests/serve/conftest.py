"""The reader and the running server that tests of serving share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Server

from texlens.reading import Reader


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The embedded model."""
    return Reader(batch_size=8)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server on a free port."""
    running = Server()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
