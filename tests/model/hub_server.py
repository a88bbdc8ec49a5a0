"""A hub on this machine: the part of the HTTP API that pushing and pulling a model and reading a data set use.

The addresses, documents and headers are those that `huggingface_hub` 2.4 sends and reads (`hf_api.py`,
`_commit_api.py`, `lfs.py`, `file_download.py`, `hf_file_system.py`): repositories, preupload, git LFS's batch
API with its basic transfer, commits as JSON lines, lists of files, and files at a commit. The name of a data
set begins with `datasets/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

TOKEN = "hf_a_token_that_may_write"
Files = dict[str, bytes]


@dataclass
class Repository:
    """Its branches, and the files of every commit."""

    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)

    def commit(self, branch: str, files: Files) -> str:
        text = json.dumps([branch, len(self.commits), sorted(files)])
        name = hashlib.sha1(text.encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name


class Hub:
    """All repositories, the large files by their hash, and the requests so far."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: Files = {}
        self.requests: list[str] = []
        self.cut_after: int | None = None  # a download ends after so many bytes, once
        self.address = ""

    def add(self, name: str, files: Files) -> str:
        self.repositories[name] = Repository()
        return self.repositories[name].commit("main", files)


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    name = r"(?P<name>(?:datasets/)?[\w.-]+/[\w.-]+)"
    api = rf"/api/(?:models/)?{name}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_one(self) -> None:
            path, _, _ = self.path.partition("?")
            hub.requests.append(f"{self.command} {path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            for method, pattern, answer in ROUTES:
                if self.command in method and (found := re.fullmatch(pattern, path)):
                    answer(self, body, **found.groupdict())
                    return
            self.error(404, "EntryNotFound", f"no such address: {path}")

        do_GET = do_HEAD = do_POST = do_PUT = handle_one

        def send(self, document: Any, status: int = 200, headers: Any = ()) -> None:
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def error(self, status: int, code: str, message: str) -> None:
            headers = [("X-Error-Code", code), ("X-Error-Message", message)] if code else []
            self.send({"error": message}, status, headers)

        def may_write(self) -> bool:
            token = self.headers.get("Authorization")
            if token == f"Bearer {TOKEN}":
                return True
            self.error(401 if token is None else 403, "", "You may not write here.")
            return False

        def repository(self, name: str) -> Repository | None:
            if name not in hub.repositories:
                self.error(404, "RepoNotFound", "Repository not found")
            return hub.repositories.get(name)

        # One method for each address below.

        def create(self, body: bytes) -> None:
            if self.may_write():
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                if name in hub.repositories:
                    self.send({"url": f"{hub.address}/{name}", "error": "exists"}, 409)
                    return
                hub.repositories[name] = Repository(asked.get("visibility") == "private")
                hub.repositories[name].commit("main", {})
                self.send({"url": f"{hub.address}/{name}", "name": name})

        def branch(self, body: bytes, name: str, branch: str) -> None:
            if self.may_write() and (repository := self.repository(name)):
                repository.branches.setdefault(branch, repository.branches["main"])
                self.send({})

        def validate(self, body: bytes) -> None:
            card = json.loads(body)["content"]
            errors = [] if card.startswith("---\n") else [{"message": "no metadata"}]
            self.send({"errors": errors, "warnings": []}, 400 if errors else 200)

        def preupload(self, body: bytes, name: str, revision: str) -> None:
            if self.may_write():
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for file in json.loads(body)["files"]
                ]
                self.send({"files": files})

        def batch(self, body: bytes, name: str) -> None:
            objects = [
                item
                if item["oid"] in hub.large
                else item | {"actions": {"upload": {"href": f"{hub.address}/large/{item['oid']}"}}}
                for item in json.loads(body)["objects"]
            ]
            self.send({"transfer": "basic", "objects": objects})

        def upload(self, body: bytes, oid: str) -> None:
            assert hashlib.sha256(body).hexdigest() == oid
            hub.large[oid] = body
            self.send({})

        def commit(self, body: bytes, name: str, revision: str) -> None:
            repository = self.repository(name)
            if repository is None or not self.may_write():
                return
            files = dict(repository.commits[repository.branches[revision]])
            for line in body.splitlines():
                operation = json.loads(line)
                value = operation["value"]
                if operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    files[value["path"]] = hub.large[value["oid"]]
                elif operation["key"] == "deletedFile":
                    del files[value["path"]]
                elif operation["key"] == "deletedFolder":
                    files = {
                        path: one
                        for path, one in files.items()
                        if not path.startswith(value["path"])
                    }
            commit = repository.commit(revision, files)
            url = f"{hub.address}/{name}/commit/{commit}"
            self.send({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

        def info(self, body: bytes, name: str, revision: str = "main") -> None:
            if (repository := self.repository(name)) is None:
                return
            commit = repository.branches.get(revision, revision)
            if commit not in repository.commits:
                self.error(404, "RevisionNotFound", "Invalid rev id")
                return
            siblings = [{"rfilename": path} for path in sorted(repository.commits[commit])]
            name = name.removeprefix("datasets/")
            document = {"_id": "1", "id": name, "modelId": name, "sha": commit}
            document |= {"siblings": siblings, "private": repository.private, "tags": []}
            self.send(document)

        def tree(self, body: bytes, name: str, revision: str, folder: str | None = None) -> None:
            if repository := self.repository(name):
                files = repository.commits[repository.branches.get(revision, revision)]
                start = f"{unquote(folder)}/" if folder else ""
                found = {path for path in files if path.startswith(start)}
                found |= {parent for path in found for parent in _folders(path, start)}
                if "recursive=true" not in self.path.lower():
                    found = {path for path in found if "/" not in path.removeprefix(start)}
                self.send([_entry(files, path) for path in sorted(found)])

        def paths_info(self, body: bytes, name: str, revision: str) -> None:
            if repository := self.repository(name):
                files = repository.commits[repository.branches.get(revision, revision)]
                asked = [unquote(path) for path in parse_qs(body.decode())["paths"]]
                there = {*files, *(folder for path in files for folder in _folders(path))}
                self.send([_entry(files, path) for path in asked if path in there])

        def resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
            if (repository := self.repository(name)) is None:
                return
            commit = repository.branches.get(revision, revision)
            content = repository.commits.get(commit, {}).get(path)
            if content is None:
                self.error(404, "EntryNotFound", "Entry not found")
                return
            start, end = 0, len(content)
            if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
                start, end = int(asked[1]), int(asked[2] or end - 1) + 1
            headers = [("X-Repo-Commit", commit), ("ETag", f'"{_etag(content)}"')]
            headers += [("Accept-Ranges", "bytes")]
            if asked:
                headers.append(("Content-Range", f"bytes {start}-{end - 1}/{len(content)}"))
            if self.command == "GET" and hub.cut_after is not None and len(content) > hub.cut_after:
                self.send_response(200)
                for key, value in [*headers, ("Content-Length", str(len(content)))]:
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content[: hub.cut_after])
                self.close_connection = True
                return
            self.send(content[start:end], 206 if asked else 200, headers)

    ROUTES: list[tuple[str, str, Callable[..., None]]] = [
        ("POST", "/api/repos/create", Handler.create),
        ("POST", f"/api/models/{name}/branch/(?P<branch>.+)", Handler.branch),
        ("POST", "/api/validate-yaml", Handler.validate),
        ("POST", f"{api}/preupload/(?P<revision>[^/]+)", Handler.preupload),
        ("POST", f"/{name}.git/info/lfs/objects/batch", Handler.batch),
        ("PUT", "/large/(?P<oid>[0-9a-f]{64})", Handler.upload),
        ("POST", f"{api}/commit/(?P<revision>[^/]+)", Handler.commit),
        ("GET", api, Handler.info),
        ("GET", f"{api}/revision/(?P<revision>[^/]+)", Handler.info),
        ("GET", f"{api}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", Handler.tree),
        ("POST", f"{api}/paths-info/(?P<revision>[^/]+)", Handler.paths_info),
        ("GET HEAD", f"/{name}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
    ]
    return Handler


def _folders(path: str, start: str = "") -> list[str]:
    """The folders that a path is in, below `start`."""
    parts = path.removeprefix(start).split("/")[:-1]
    return [start + "/".join(parts[: n + 1]) for n in range(len(parts))]


def _entry(files: Files, path: str) -> dict[str, Any]:
    if path not in files:
        return {"type": "directory", "path": path, "oid": _etag(path.encode())}
    content = files[path]
    return {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
