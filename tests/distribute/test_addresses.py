"""Object stores as source and target: an S3 server in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from texlens.addresses import find_files, place
from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.evaluate.demo import demo_pictures
from texlens.evaluate.growing import LINES_A_PART, GrowingFile
from texlens.records import Example

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
