"""Shards: the documented format, the same bytes for any number of processes, never mixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.printed import ListedShards, PrintedShards
from texlens.data.pictures.shards import pack, read_shard, unpack, write_shards
from texlens.errors import InputError, TexlensError
from texlens.latex import normalize

FORMULAS = [r"x ^ { 2 }", r"\frac { a } { b }", r"\sum _ { n } \alpha _ { n }"]


def printed(sources: list[str], **settings: int) -> PrintedShards:
    return PrintedShards(tuple(map(FormulaSource.parse, sources)), 12, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def listed(tmp_path: Path) -> str:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(FORMULAS) + "\n\n")
    return f"list:1:{path}"


def test_shards_have_the_documented_format(tmp_path: Path, listed: str) -> None:
    (report,) = write_shards(printed([listed], seed=5), tmp_path / "out", 1)
    assert (report.pictures, report.left_out) == (12, 0)
    (path,) = (tmp_path / "out").glob("*.npz")
    with np.load(path) as arrays:
        packed, heights, widths = arrays["pixels"], arrays["heights"], arrays["widths"]
        formulas = arrays["formulas"].tobytes().decode().split("\n")
        assert packed.dtype == np.uint8
        assert heights.dtype == widths.dtype == np.int32
        assert len(packed) == -(-int((heights * widths).sum()) // 2)
        assert len(arrays["px_per_em"]) == len(heights) == len(formulas) == 12
        assert (arrays["px_per_em"] > 5).all()
    assert set(formulas) <= set(map(normalize, FORMULAS))
    levels = np.stack([packed >> 4, packed & 15], axis=1).ravel()
    first = levels[: heights[0] * widths[0]].reshape(heights[0], widths[0])
    assert first.min() < 8 < first.max()
    assert np.array_equal(read_shard(path).pixels[: first.size], first.ravel() * 17)


def test_a_shard_that_was_cut_short_is_named(tmp_path: Path, listed: str) -> None:
    list(write_shards(printed([listed]), tmp_path / "out", 1))
    (path,) = (tmp_path / "out").glob("*.npz")
    content = path.read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"shard-00000\.npz' is damaged or cut short"):
            read_shard(path)
    path.write_bytes(content[: len(content) // 3] + bytes(40) + content[len(content) // 3 + 40 :])
    with pytest.raises(InputError, match="is damaged"):
        read_shard(path)


@pytest.mark.slow
def test_any_number_of_processes_writes_the_same_and_resumes(tmp_path: Path) -> None:
    source = printed(["grammar:1"])
    list(write_shards(source, tmp_path / "one", 3))
    list(write_shards(source, tmp_path / "two", 3, workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (tmp_path / "two" / "shard-00001.npz").unlink()
    again = list(write_shards(source, tmp_path / "two", 3))
    assert [report.number for report in again] == [1]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_shards_of_other_settings_are_not_mixed(tmp_path: Path, listed: str) -> None:
    list(write_shards(printed([listed]), tmp_path / "out", 1))
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="another seed"):
        list(write_shards(printed([listed], seed=1), tmp_path / "out", 2))
    assert contents(tmp_path / "out") == before
    list(write_shards(printed([listed], seed=1), tmp_path / "out", 1, force=True))
    assert contents(tmp_path / "out") != before


def test_settings_know_a_list_by_its_content(tmp_path: Path, listed: str) -> None:
    settings = printed([listed]).settings()
    path = tmp_path / "list.txt"
    moved = path.rename(tmp_path / "elsewhere").rename(path)
    assert printed([listed]).settings() == settings
    moved.write_text("a + b\n")
    assert printed([listed]).settings() != settings


def test_short_formulas_come_first(tmp_path: Path) -> None:
    source = printed(["grammar:1"], curriculum_shards=4, first_tokens=10, max_tokens=90)
    assert [source.token_limit(n) for n in range(6)] == [10, 30, 50, 70, 90, 90]
    list(write_shards(source, tmp_path, 1))
    with np.load(tmp_path / "shard-00000.npz") as arrays:
        formulas = arrays["formulas"].tobytes().decode().split("\n")
    assert all(len(formula.split(" ")) <= 10 for formula in formulas)


@pytest.mark.parametrize(
    "source", ["nothing", "list:1", "grammar:1:file.txt", "list:x:file.txt", "grammar:-1",
               "list:1:missing.txt"]
)  # fmt: skip
def test_a_bad_source_is_one_sentence_and_writes_nothing(tmp_path: Path, source: str) -> None:
    with pytest.raises(InputError):
        list(write_shards(printed([source]), tmp_path / "out", 1, workers=2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("formula", "settings", "words"),
    [
        ("a + b + c", {"max_tokens": 2}, "no formula of at most 2 tokens"),
        (r"\undefined", {}, r"No formula could be rendered; the first, .*undefined"),
    ],
)  # fmt: skip
def test_a_source_that_gives_nothing_is_an_error(
    tmp_path: Path, formula: str, settings: dict[str, int], words: str
) -> None:
    (tmp_path / "list.txt").write_text(formula)
    source = printed([f"list:1:{tmp_path / 'list.txt'}"], **settings)
    with pytest.raises(TexlensError, match=words):
        list(write_shards(source, tmp_path / "out", 1))


def test_packing_keeps_the_nearest_of_16_levels() -> None:
    grey = np.arange(256, dtype=np.uint8)[:255]  # an odd number
    back = unpack(pack(grey), len(grey)).astype(int)
    assert np.abs(back - grey).max() == 8
    assert np.array_equal(pack(back.astype(np.uint8)), pack(grey))


def test_a_list_is_rendered_once_and_broken_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"a + b\n\n\\undefined x\n\xff\xfe\nc ^ 2\n\x01\n")
    source = ListedShards(path, pictures_per_shard=4, renderers=(("mathjax", 1.0),))
    assert source.count() == 2
    reports = list(write_shards(source, tmp_path / "out", source.count()))
    assert [(report.pictures, report.left_out) for report in reports] == [(1, 2), (1, 1)]
    shards = [read_shard(file) for file in sorted((tmp_path / "out").glob("*.npz"))]
    assert [shard.formulas for shard in shards] == [["a + b"], ["c ^ { 2 }"]]
    lines = (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert "line 4 is not UTF-8" in reasons
    assert "line 6 has control characters" in reasons
    assert any("ndefined" in reason for reason in reasons)
