"""A local server that speaks the part of the Hugging Face hub's API by which data sets are fetched."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"


class FakeHub:
    """Data sets by their names, each a folder; `requested` has the files that were downloaded."""

    def __init__(self) -> None:
        self.repositories: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.requested: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path."""
        path = path.partition("?")[0]
        kind, _, rest = path.removeprefix("/api").removeprefix("/datasets/").partition("/")
        name = f"{kind}/{rest.partition('/')[0]}"
        rest = rest.partition("/")[2]
        if name in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        root = self.repositories[name]
        files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
        if rest.startswith("revision/"):
            if rest.removeprefix("revision/") not in ("main", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            document: object = {
                "id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files],
            }  # fmt: skip
            return 200, {}, json.dumps(document).encode()
        if rest.startswith("tree/"):
            document = [
                {"type": "file", "path": file, "size": place.stat().st_size, "oid": etag(place)}
                for file, place in sorted(files.items())
            ]
            return 200, {}, json.dumps(document).encode()
        file = rest.removeprefix(f"resolve/{COMMIT}/")
        self.requested.append(file)
        headers = {"ETag": f'"{etag(files[file])}"', "X-Repo-Commit": COMMIT}
        return 200, headers, files[file].read_bytes()


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def running(hub: FakeHub) -> Iterator[str]:
    """The address of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that `huggingface_hub` talks to, with an empty cache; the test fills it."""
    hub = FakeHub()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with running(hub) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield hub
