"""Shards that are broken or do not fit together, and full disks: one sentence each, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from texlens.data.parquet import write_examples
from texlens.evaluate.demo import demo_pictures
from texlens.records import Example

pytestmark = pytest.mark.slow

RENDERED = ("--pictures", 60, "--per-shard", 60, "--renderers", "mathjax")
CORPUS = ("data", "prepare", "unsloth-latex-ocr", "--from")


def sentence(*arguments: object, status: int, **variables: str) -> str:
    """The one sentence with which a command ends."""
    command = [sys.executable, "-m", "texlens", *map(str, arguments)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=150, env=os.environ | variables
    )
    assert ended.returncode == status, ended.stderr
    (line,) = [one for one in ended.stderr.splitlines() if not one.startswith("ray: ")]
    assert line.startswith("texlens: ")
    return line.removeprefix("texlens: ")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards of a data set."""
    demo = demo_pictures()
    for part in "ab":
        examples = [
            Example(f"{part}{n}", demo[n % 4].content, demo[n % 4].latex) for n in range(300)
        ]
        write_examples(tmp_path / "set" / f"{part}.parquet", examples)
    return tmp_path / "set"


def test_shards_that_do_not_fit_together(shards: Path, tmp_path: Path) -> None:
    second = shards / "b.parquet"
    table = pq.read_table(second)
    out = tmp_path / "out"

    pq.write_table(table.rename_columns(["id", "image", "text", "source", "kind"]), second)
    assert sentence(*CORPUS, shards, "--out", out, status=2) == (
        f"The LaTeX is in 'latex_formula' of '{shards / 'a.parquet'}' and 'text' of '{second}': all files "
        "of a corpus need the same columns."
    )
    message = sentence("evaluate", "--data", shards, "--metrics", "exact", "--out", out, status=2)
    assert message == f"'{second}' has no column latex_formula."

    numbers = table.set_column(2, "latex_formula", pa.array(range(300)))
    pq.write_table(numbers, second)
    wrong = f"'{second}': the column 'latex_formula' has no text but int64."
    assert sentence(*CORPUS, shards, "--out", out, status=2) == wrong
    assert (
        sentence("evaluate", "--data", shards, "--metrics", "exact", "--out", out, status=2)
        == wrong
    )
    assert not list(out.iterdir())

    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "a.jsonl").write_text(json.dumps({"id": "1", "gt": "x", "pred": "y"}))
    pq.write_table(pa.table({"id": ["2"], "gt": ["x"], "pred": [3]}), lines / "b.parquet")
    message = sentence("score", lines, "--metrics", "exact", "--out", out, status=2)
    assert message == f"{lines / 'b.parquet'}, row 1: 'pred' is not a text."


def test_a_shard_that_cannot_be_read(nodes: Any, shards: Path, tmp_path: Path) -> None:
    second = shards / "b.parquet"
    whole = second.read_bytes()
    out = tmp_path / "out"

    second.write_bytes(whole[:-2000])  # an upload that was cut short
    for command in (
        (*CORPUS, shards, "--out", out),
        ("evaluate", "--data", shards, "--metrics", "exact", "--out", out),
        ("score", second, "--metrics", "exact", "--out", out),
    ):
        assert f"'{second}' is not a" in sentence(*command, status=2)

    start = whole.index(b"\x28\xb5\x2f\xfd", len(whole) // 3)  # a page, compressed with zstd
    second.write_bytes(whole[:start] + bytes(60) + whole[start + 60 :])
    command = ("evaluate", "--data", shards, "--metrics", "exact", "--out", out)
    assert f"'{second}' is damaged, or could not be read to its end: " in sentence(
        *command, status=2
    )
    assert not list(out.iterdir())
    message = sentence(*CORPUS, shards, "--out", out, "--ray", nodes.address, status=1)
    assert message.startswith("On the node ")
    assert f"'{second}' is damaged in row group 0" in message
    assert [file.name for file in out.iterdir()] == [".work"]  # the chunks before, for the next run
    second.write_bytes(whole)
    texlens = [sys.executable, "-m", "texlens", *map(str, (*CORPUS, shards, "--out", out))]
    subprocess.run(texlens, check=True, capture_output=True)
    assert json.loads((out / "dataset.json").read_text())["counts"] == {"train": 4}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own with 8 KiB left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        (folder / "else").write_bytes(bytes(56 << 10))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_under_the_result(small_disk: Path, shards: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    record = {"gt": "x", "pred": "x" * 300}
    pairs.write_text("".join(json.dumps({"id": str(n)} | record) + "\n" for n in range(100)))
    few = tmp_path / "few.parquet"
    write_examples(
        few, [Example(str(n), one.content, "x") for n, one in enumerate(demo_pictures())]
    )
    out = small_disk / "out"
    for command in (
        ("score", pairs, "--metrics", "exact", "--no-cache"),
        ("read", few, "--json"),
        (*CORPUS, few),
        ("data", "render", "--source", "grammar:1", *RENDERED),
    ):
        message = sentence(*command, "--out", out, status=1)
        assert f"'{small_disk}/" in message
        assert "No space left on device" in message
        written = [path for path in small_disk.rglob("*") if path.is_file()]
        assert not [path for path in written if path.suffix == ".part"]
        assert not {"metrics.json", "dataset.json", "shard-00000.npz"} & {
            path.name for path in written
        }
        assert out.is_dir() or not out.exists()  # no part of the document of `read`
        subprocess.run(["rm", "-rf", str(out)], check=True)


def test_a_full_disk_on_a_node(nodes: Any, small_disk: Path, tmp_path: Path, pdflatex: str) -> None:
    node = nodes.add_node(num_cpus=1, env_vars={"TMPDIR": str(small_disk)})
    nodes.wait_for_nodes()
    try:
        message = sentence(
            *("data", "render", "--source", "grammar:1", "--pictures", 400, "--per-shard", 10),
            *("--renderers", "pdftex", "--out", tmp_path / "out", "--ray", nodes.address),
            status=1,
        )
    finally:
        nodes.remove_node(node)
    assert message.startswith("On the node ")
    assert f"temporary files is full ('{small_disk}' has less than 16 MiB left" in message
    assert not list((tmp_path / "out").glob(".*"))


def test_a_node_without_the_model(nodes: Any, shards: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out.txt"
    command = ("read", shards, "--model", model, "--out", out, "--ray", nodes.address)
    message = sentence(*command, status=1)
    assert message.startswith("On the node ")
    assert str(model) in message
    assert not out.exists()
