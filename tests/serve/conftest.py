"""The reader and the running server that tests of serving share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
        if not Path(path).exists():
            path = shutil.which("chromium") or shutil.which("google-chrome") or ""
        if not path:
            pytest.skip("Chromium is not installed")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
