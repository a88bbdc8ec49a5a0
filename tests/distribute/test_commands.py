"""The commands on a cluster of three nodes give the same bytes as on one machine.

In the middle of `score`, `read` and `data prepare` a node is killed that has a batch in work.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from texlens.data.formulas.grammar import generate
from texlens.data.parquet import write_examples
from texlens.evaluate.demo import demo_pictures
from texlens.records import Example

pytestmark = pytest.mark.slow

METRICS = "bleu,edit_tokens,exact,katex_valid,layout"


def texlens(*arguments: object, status: int = 0) -> str:
    """Run a command; what it printed on both streams."""
    command = [sys.executable, "-m", "texlens", *map(str, arguments)]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150
    )
    assert result.returncode == status, result.stdout
    return result.stdout


def with_a_killed_node(
    nodes: Any, share_done: Callable[[], float], *arguments: object, status: int = 0
) -> str:
    """Run a command on the cluster and kill a node in mid-run; what it printed on both streams.

    Args:
        nodes: the cluster; another node replaces the killed one.
        share_done: how much of the result is written, 0 to 1.
    """
    command = [sys.executable, "-m", "texlens", *map(str, arguments), "--ray", nodes.address]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        victim = None
        while running.poll() is None and victim is None:
            time.sleep(0.01)
            if share_done() > 0:
                victim = next(filter(is_in_work, nodes.worker_nodes), None)
        assert share_done() < 0.8
        nodes.remove_node(victim, allow_graceful=False)
        printed = running.communicate(timeout=150)[0]
    finally:
        running.kill()
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
    assert running.returncode == status, printed
    assert "raylet" not in printed  # nothing of Ray's own
    last = [line for line in printed.splitlines() if line.startswith("ray: ")][-1]
    assert int(re.search(r"(\d+) tried again", last)[1]) > 0, printed  # type: ignore[index]
    assert ", 0 items failed, 1 of 2 workers on 1 nodes" in last
    return printed


def is_in_work(node: Any) -> bool:
    """Whether an actor of a node does a batch: Ray shows it in the title of its process."""
    raylet = node.all_processes["raylet"][0].process.pid
    for child in psutil.Process(raylet).children():
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[:1] == ["ray::Actor.do"]:
                return True
    return False


def assert_same_files(one: Path, other: Path, *, but: tuple[str, ...] = ()) -> None:
    names = sorted(file.relative_to(one).as_posix() for file in one.rglob("*") if file.is_file())
    assert names == sorted(
        file.relative_to(other).as_posix() for file in other.rglob("*") if file.is_file()
    )
    for name in names:
        if name not in but:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_score(nodes: Any, tmp_path: Path) -> None:
    random = Random(0)
    lines = []
    for number in range(5_000):
        reference = generate(random, tokens=15, depth=2)
        prediction = reference.replace("x", "y") if number % 3 else generate(random, tokens=8)
        lines.append(json.dumps({"id": str(number), "gt": reference, "pred": prediction}))
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(lines))
    common = (pairs, "--metrics", METRICS, "--no-cache", "--out")
    texlens("score", *common, tmp_path / "here", "--workers", 2)
    kept = tmp_path / "there" / ".work"  # 2,048 pairs a file
    with_a_killed_node(
        nodes,
        lambda: len(list(kept.glob("scored-*.jsonl"))) / 3,
        *("score", *common, tmp_path / "there"),
    )
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_read(nodes: Any, tmp_path: Path) -> None:
    demo = sorted(demo_pictures(), key=lambda one: len(one.latex))
    demo = demo[:1] * 8 + demo[4:7] * 8 + demo[1:2]  # most are read once, in 20 ms; the last again
    examples = [
        Example(f"{number}", demo[number % len(demo)].content, "x") for number in range(199)
    ]
    pictures = tmp_path / "pictures.parquet"
    write_examples(pictures, examples)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    command = ("read", pictures, broken, "--out")
    here, there = tmp_path / "here.txt", tmp_path / "there.txt"

    def share_done() -> float:
        return sum(part.read_bytes().count(b"\n") for part in tmp_path.glob(".there.*.part")) / 199

    for printed in (
        texlens(*command, here, status=1),
        with_a_killed_node(nodes, share_done, *command, there, status=1),
    ):
        assert f"'{broken}' is not a picture" in printed
        assert "1 of 200 pictures could not be read." in printed
    assert there.read_bytes() == here.read_bytes()
    assert here.read_bytes().count(b"\n") == 199


def picture(text: str) -> bytes:
    image = Image.new("L", (40 + 6 * len(text), 40), 255)
    ImageDraw.Draw(image).text((10, 12), text, fill=0)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_data_prepare(nodes: Any, tmp_path: Path) -> None:
    random = Random(1)
    formulas = [generate(random, tokens=12, depth=2) for _ in range(1_990)] + [r"\frac{"] * 10
    images = [
        {"bytes": picture(f"{n} {text}"[:60]), "path": None} for n, text in enumerate(formulas)
    ]
    table = pa.table({"image": images, "latex_formula": formulas})
    pq.write_table(table, tmp_path / "rows.parquet")
    common = ("data", "prepare", "latex-formulas", "--from", tmp_path / "rows.parquet")
    common = (*common, "--sizes", "1500/100/100", "--out")
    texlens(*common, tmp_path / "here", "--workers", 2)
    with_a_killed_node(
        nodes,
        lambda: len(list((tmp_path / "there" / ".work").glob("chunk-*"))) / 10,
        *(*common, tmp_path / "there"),
    )
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_data_render(nodes: Any, tmp_path: Path) -> None:
    common = ("data", "render", "--source", "grammar:1", "--pictures", 300, "--per-shard", 50)
    common = (*common, "--renderers", "mathjax", "--out")
    texlens(*common, tmp_path / "here", "--workers", 2)
    texlens(*common, tmp_path / "there", "--ray", nodes.address)
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_evaluate(nodes: Any, tmp_path: Path) -> None:
    examples = [
        Example(f"{number}", one.content, one.latex) for number, one in enumerate(demo_pictures())
    ]
    write_examples(tmp_path / "set.parquet", examples[:16])
    common = ("evaluate", "--data", tmp_path / "set.parquet", "--metrics", "exact,edit_tokens")
    texlens(*common, "--out", tmp_path / "here")
    texlens(*common, "--out", tmp_path / "there", "--ray", nodes.address)
    # The others have the seconds of each reading.
    for name in ("items.jsonl", "metrics.md", "run.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
