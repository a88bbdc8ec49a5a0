"""The commands on a cluster of three nodes give the same bytes as on one machine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

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
    texlens("score", *common, tmp_path / "there", "--ray", nodes.address)
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_read(nodes: Any, tmp_path: Path) -> None:
    demo = sorted(demo_pictures(), key=lambda one: len(one.latex))[:8]  # quickly read
    examples = [
        Example(f"{number}", demo[number % len(demo)].content, "x") for number in range(199)
    ]
    pictures = tmp_path / "pictures.parquet"
    write_examples(pictures, examples)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    found = {}
    for name, more in (("here", ()), ("there", ("--ray", nodes.address))):
        out = tmp_path / f"{name}.txt"
        printed = texlens("read", pictures, broken, "--out", out, *more, status=1)
        assert f"'{broken}' is not a picture" in printed
        assert "1 of 200 pictures could not be read." in printed
        found[name] = out.read_bytes()
    assert found["there"] == found["here"]
    assert found["here"].count(b"\n") == 199


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
    texlens(*common, tmp_path / "there", "--ray", nodes.address)
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_data_render(nodes: Any, tmp_path: Path) -> None:
    common = ("data", "render", "--source", "grammar:1", "--pictures", 600, "--per-shard", 100)
    common = (*common, "--renderers", "mathjax", "--out")
    texlens(*common, tmp_path / "here", "--workers", 2)
    texlens(*common, tmp_path / "there", "--ray", nodes.address)
    assert_same_files(tmp_path / "here", tmp_path / "there")


def test_evaluate(nodes: Any, tmp_path: Path) -> None:
    examples = [
        Example(f"{number}", one.content, one.latex) for number, one in enumerate(demo_pictures())
    ]
    write_examples(tmp_path / "set.parquet", examples)
    common = ("evaluate", "--data", tmp_path / "set.parquet", "--metrics", "exact,edit_tokens")
    texlens(*common, "--out", tmp_path / "here")
    texlens(*common, "--out", tmp_path / "there", "--ray", nodes.address)
    # The others have the seconds of each reading.
    for name in ("items.jsonl", "metrics.md", "run.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
