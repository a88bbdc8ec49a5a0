"""Object stores as source and target: an S3 server and a hub in this process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, running_hub

from texlens import object_lock
from texlens.addresses import find_files, place
from texlens.data.parquet import write_examples
from texlens.errors import InputError, TexlensError
from texlens.evaluate.demo import demo_pictures
from texlens.evaluate.growing import LINES_A_PART, GrowingFile
from texlens.records import Example
from texlens.runs import write_bytes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def bucket() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    patch = pytest.MonkeyPatch()
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    request = urllib.request.Request(f"{url}/bucket", method="PUT")
    urllib.request.urlopen(request).close()
    yield "s3://bucket"
    patch.undo()
    server.stop()


def texlens(*arguments: object, status: int = 0) -> str:
    command = [sys.executable, "-m", "texlens", *map(str, arguments)]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150,
        env=os.environ.copy(),
    )  # fmt: skip
    assert result.returncode == status, result.stdout
    return result.stdout


def line(number: int) -> str:
    return (
        json.dumps({"id": str(number), "gt": f"x^{{{number}}}", "pred": f"x^{{{number % 7}}}"})
        + "\n"
    )


def test_shards_of_predictions(bucket: str, tmp_path: Path) -> None:
    lines = [line(number) for number in range(300)]
    local = tmp_path / "all.jsonl"
    local.write_text("".join(lines))
    folder = place(f"{bucket}/predictions")
    for number in range(3):
        shard = folder / f"part-{number}.jsonl"
        shard.write_bytes("".join(lines[100 * number : 100 * number + 100]).encode())
    metrics = ("--metrics", "bleu,exact", "--no-cache")
    texlens("score", local, *metrics, "--out", tmp_path / "here")
    for source, out in (
        (f"{bucket}/predictions", "a"),
        (f"{bucket}/predictions/part-*.jsonl", "b"),
    ):
        texlens("score", source, *metrics, "--out", f"{bucket}/scores/{out}", "--workers", 2)
        for file in sorted((tmp_path / "here").iterdir()):
            stored = place(f"{bucket}/scores/{out}/{file.name}").read_bytes()
            assert stored == file.read_bytes(), file.name
    again = texlens("score", local, *metrics, "--out", f"{bucket}/scores/a", status=2)
    assert "holds a finished result" in again


def test_data_prepare_from_a_bucket_into_a_bucket(bucket: str, tmp_path: Path) -> None:
    examples = [Example(f"{n}", one.content, one.latex) for n, one in enumerate(demo_pictures())]
    write_examples(tmp_path / "rows" / "rows.parquet", examples)
    content = (tmp_path / "rows" / "rows.parquet").read_bytes()
    place(f"{bucket}/rows/rows.parquet").write_bytes(content)
    common = ("data", "prepare", "unsloth-latex-ocr", "--from")
    texlens(*common, tmp_path / "rows", "--out", tmp_path / "here")
    texlens(*common, f"{bucket}/rows", "--out", f"{bucket}/prepared", "--ray", "local")
    for file in sorted((tmp_path / "here").iterdir()):
        stored = place(f"{bucket}/prepared/{file.name}").read_bytes()
        assert stored == file.read_bytes(), file.name
    assert not place(f"{bucket}/prepared/.work").exists()


def test_readings_in_shards_go_on_where_they_were_cut_short(bucket: str) -> None:
    pictures = sorted(demo_pictures(), key=lambda one: len(one.latex))[:6]
    for number, one in enumerate(pictures):
        place(f"{bucket}/pictures/{number}.png").write_bytes(one.content)
    command = ("read", f"{bucket}/pictures", "--out", f"{bucket}/readings", "--shard-size", 2)
    assert "6 pictures were read" in texlens(*command)
    out = place(f"{bucket}/readings")
    names = sorted(file.name for file in out.iterdir())
    shards = [f"readings-{number:05d}.jsonl" for number in range(3)]
    assert names == ["manifest.json", *shards, "run.json"]
    first = (out / shards[0]).read_bytes()
    (out / "manifest.json").unlink()
    (out / shards[1]).unlink()
    assert "2 pictures were read" in texlens(*command)
    assert (out / shards[0]).read_bytes() == first
    manifest = json.loads((out / "manifest.json").read_text())
    assert [shard["readings"] for shard in manifest["shards"]] == [2, 2, 2]
    read = [json.loads(one) for one in first.decode().splitlines()]
    assert [one["path"] for one in read] == [f"{bucket}/pictures/{n}.png" for n in range(2)]
    place(f"{bucket}/pictures/00.png").write_bytes(pictures[0].content)
    (out / "manifest.json").unlink()
    assert "has the readings of other pictures" in texlens(*command, status=2)


def test_evaluate_shards(bucket: str, tmp_path: Path) -> None:
    chosen = sorted(demo_pictures(), key=lambda one: len(one.latex))[:6]
    for part in range(2):
        examples = [Example(f"{part}-{n}", one.content, one.latex) for n, one in enumerate(chosen)]
        write_examples(tmp_path / "set" / f"{part}.parquet", examples[3 * part : 3 * part + 3])
        content = (tmp_path / "set" / f"{part}.parquet").read_bytes()
        place(f"{bucket}/set/{part}.parquet").write_bytes(content)
    common = ("--metrics", "exact,edit_tokens", "--out")
    texlens("evaluate", "--data", tmp_path / "set", *common, tmp_path / "here")
    texlens("evaluate", "--data", f"{bucket}/set", *common, f"{bucket}/evaluated")
    out = place(f"{bucket}/evaluated")
    assert sorted(file.name for file in out.iterdir()) == sorted(
        file.name for file in (tmp_path / "here").iterdir()
    )
    assert (out / "items.jsonl").read_bytes() == (tmp_path / "here" / "items.jsonl").read_bytes()


def test_a_file_that_grows_in_a_bucket(bucket: str) -> None:
    path = place(f"{bucket}/growing/lines.jsonl")
    file = GrowingFile(path)
    with suppress(KeyboardInterrupt), file.appending() as append:
        for number in range(LINES_A_PART + 2):
            append(b"%d\n" % number)
        raise KeyboardInterrupt
    assert GrowingFile(path).content().count(b"\n") == LINES_A_PART + 2
    with GrowingFile(path).appending() as append:
        append(b"last\n")
    GrowingFile(path).finish()
    assert path.read_bytes().splitlines()[-1] == b"last"
    assert [file.name for file in path.parent.iterdir()] == ["lines.jsonl"]


def test_rendered_shards(bucket: str, tmp_path: Path) -> None:
    common = ("data", "render", "--source", "grammar:1", "--pictures", 40, "--per-shard", 20)
    common = (*common, "--renderers", "mathjax", "--out")
    texlens(*common, tmp_path / "here")
    texlens(*common, f"{bucket}/rendered")
    for file in sorted((tmp_path / "here").iterdir()):
        assert place(f"{bucket}/rendered/{file.name}").read_bytes() == file.read_bytes(), file.name


def test_what_is_not_there_is_one_sentence(bucket: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(line(1))
    for arguments in (
        ("score", "s3://nobody/pairs.jsonl"),
        ("score", f"{bucket}/nothing.jsonl"),
        ("score", pairs, "--out", "s3://nobody/out"),
        ("read", f"{bucket}/nothing/"),
        (
            "data",
            "prepare",
            "unsloth-latex-ocr",
            "--from",
            "s3://nobody/x",
            "--out",
            tmp_path / "o",
        ),
    ):
        printed = texlens(*arguments, status=1 if arguments[0] == "read" else 2)
        assert "Traceback" not in printed
        assert len(printed.strip().splitlines()) <= 2, printed
    with pytest.raises(InputError, match="cannot be opened"):
        place("nonsense://x")
    with pytest.raises(InputError, match="no file at"):
        find_files([f"{bucket}/nothing-*.jsonl"], (".jsonl",))


@pytest.fixture
def quick_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(object_lock, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(object_lock, "ABANDONED_SECONDS", 1.0)
    held = set(object_lock._held)
    yield
    for address in set(object_lock._held) - held:
        object_lock.release(place(address))


def test_two_runs_into_one_folder_of_a_bucket(
    bucket: str, tmp_path: Path, quick_locks: None
) -> None:
    folder = place(f"{bucket}/shared")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(line(1))
    object_lock.hold(folder)
    object_lock.hold(folder)  # this process may go on
    command = ("score", pairs, "--metrics", "exact", "--out", f"{bucket}/shared")
    printed = texlens(*command, status=2)
    assert f"Another run writes to '{bucket}/shared' (process {os.getpid()} of " in printed
    assert [file.name for file in folder.iterdir()] == [object_lock.LOCK]
    object_lock.release(folder)
    assert "waiting" not in texlens(*command)
    assert not (folder / object_lock.LOCK).exists()
    assert (folder / "metrics.json").exists()


def test_the_lock_of_a_run_that_was_killed_is_taken_over(bucket: str, quick_locks: None) -> None:
    folder = place(f"{bucket}/killed")
    (folder / object_lock.LOCK).write_bytes(b'{"process": 1, "host": "gone"}')
    start = time.monotonic()
    object_lock.hold(folder)
    assert time.monotonic() - start >= object_lock.ABANDONED_SECONDS
    write_bytes(folder / "a", b"content")
    # A run that was asleep for so long finds the lock of another one, and writes no more.
    (folder / object_lock.LOCK).write_bytes(b"another run's")
    lock = object_lock._held[f"{bucket}/killed"]
    deadline = time.monotonic() + 10
    while not lock.is_lost and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(TexlensError, match="Another run has taken over 's3://bucket/killed'"):
        write_bytes(folder / "b", b"content")
    assert not (folder / "b").exists()
    object_lock.release(folder)
    assert (folder / object_lock.LOCK).read_bytes() == b"another run's"


def test_a_store_without_conditional_writes_locks_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Store(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["If-None-Match"] == "*"
            self.send_response(501)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        object_lock.hold(place("s3://old/folder"))
        server.shutdown()
    printed = capsys.readouterr().err
    assert printed.startswith("texlens: 's3://old/folder' is not locked (")
    assert printed.endswith("make sure that no other run writes there.\n")
    assert printed.count("\n") == 1


def test_a_bucket_without_permission(bucket: str, tmp_path: Path) -> None:
    import boto3

    user = boto3.client("iam")
    user.create_user(UserName="nobody")
    key = user.create_access_key(UserName="nobody")["AccessKey"]
    names = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    rows = tmp_path / "rows.parquet"
    write_examples(rows, [Example("1", demo_pictures()[0].content, "x")])
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(line(1))
    place(f"{bucket}/secret/rows.parquet").write_bytes(rows.read_bytes())
    corpus = ("data", "prepare", "unsloth-latex-ocr", "--from")
    denied = f"{bucket}/secret"
    with without_permission(), pytest.MonkeyPatch.context() as patch:
        for name, value in names.items():
            patch.setenv(name, value)
        for status, arguments in (
            (2, ("score", f"{denied}/rows.parquet")),
            (2, ("score", pairs, "--metrics", "exact", "--out", denied)),
            (1, ("read", f"{denied}/rows.parquet")),
            (2, ("read", rows, "--out", f"{denied}/readings.txt")),
            (2, (*corpus, denied, "--out", tmp_path / "prepared")),
            (2, (*corpus, rows, "--out", denied)),
            (2, ("data", "render", pairs, "--renderers", "mathjax", "--out", denied)),
        ):
            printed = texlens(*arguments, status=status)
            sentence = f"texlens: Cannot .* '{denied}.*': permission denied\\.\\n"
            assert re.match(sentence, printed), printed
            assert len(printed.splitlines()) == (2 if arguments[0] == "read" and status == 1 else 1)
    assert not (tmp_path / "prepared").exists()
    assert [file.name for file in place(denied).iterdir()] == ["rows.parquet"]


@contextmanager
def without_permission() -> Iterator[None]:
    """moto asks who may do what; nobody was given a right."""
    _ask_after(b"0")
    try:
        yield
    finally:
        _ask_after(b"inf")


def _ask_after(requests: bytes) -> None:
    request = urllib.request.Request(
        f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset-auth",
        data=requests, headers={"Content-Type": "text/plain"}, method="POST",
    )  # fmt: skip
    urllib.request.urlopen(request).close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as hub:
        settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": TOKEN}
        for name, value in (settings | {"HF_HUB_DISABLE_XET": "1"}).items():
            monkeypatch.setenv(name, value)
        yield hub


def test_from_the_hub_and_to_the_hub(hub: Hub, tmp_path: Path) -> None:
    demo = demo_pictures()
    write_examples(
        tmp_path / "rows" / "rows.parquet",
        [Example(f"{n}", one.content, one.latex) for n, one in enumerate(demo[:12])],
    )
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for part in range(2):
        lines = "".join(line(number) for number in range(100 * part, 100 * part + 100))
        (pairs / f"{part}.jsonl").write_text(lines)
    sources = [tmp_path / "rows" / "rows.parquet", *pairs.iterdir()]
    hub.add(
        "datasets/me/set",
        {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in sources},
    )
    address = "hf://datasets/me/set"
    corpus = ("data", "prepare", "unsloth-latex-ocr", "--from")
    texlens("score", pairs, "--metrics", "exact", "--out", tmp_path / "scores")
    texlens("score", f"{address}/pairs", "--metrics", "exact", "--out", f"{address}/scores")
    texlens(*corpus, tmp_path / "rows", "--out", tmp_path / "prepared")
    texlens(*corpus, f"{address}/rows", "--out", f"{address}/prepared")
    repository = hub.repositories["datasets/me/set"]
    files = repository.commits[repository.branches["main"]]
    for folder in ("scores", "prepared"):
        local = {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}
        there = {name: files[name] for name in files if name.startswith(f"{folder}/")}
        assert there == {f"{folder}/{name}": content for name, content in local.items()}


def test_what_the_hub_refuses_is_one_sentence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(line(1))
    hub.add("datasets/me/set", {"pairs.jsonl": pairs.read_bytes()})
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_that_may_only_read")
    for status, arguments in (
        (2, ("score", "hf://datasets/me/nothing/pairs.jsonl")),
        (1, ("score", pairs, "--metrics", "exact", "--out", "hf://datasets/me/set/scores")),
    ):
        printed = texlens(*arguments, status=status)
        assert re.match(r"texlens: .*'hf://datasets/me/", printed), printed
        assert len(printed.splitlines()) == 1
    assert len(hub.repositories["datasets/me/set"].commits) == 1
