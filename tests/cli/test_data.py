"""`texlens data` from the command line: exit status, one sentence, one JSON document."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from texlens.cli import main
from texlens.data.formulas.sources import SOURCE_KINDS


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for n, latex in enumerate(["x^2", r"\frac12", "a+b", r"\frac{", "q"]):
        image = Image.new("L", (60, 24), 255)
        ImageDraw.Draw(image).text((4, 4), f"f{n}", fill=0)
        image.save(folder / f"{n}.png")
        (folder / f"{n}.txt").write_text(latex)
    (folder / "4.txt").unlink()
    return folder


class Ended:
    """How a command ended: its status and what it printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def texlens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["texlens", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


def test_prepare_prints_a_table_or_one_json_document(texlens, corpus, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    arguments = ("prepare", "folder", "--from", corpus, "--out", out, "--sizes", "2/0/1")
    ended = texlens(*arguments)
    assert ended.status == 0, ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()[:2]] == [
        ["train", "2"],
        ["test", "1"],
    ]
    assert "has no .txt or .tex beside it" in ended.out
    assert "does not parse" in ended.out
    again = texlens(*arguments)
    assert (again.status, again.out) == (2, "")
    assert "--force" in again.err
    as_json = texlens(*arguments, "--force", "--json")
    assert as_json.status == 0
    assert json.loads(as_json.out) == json.loads((out / "dataset.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prepare", "nonsense", "--from", "{corpus}"), "no corpus 'nonsense'"),
        (("prepare", "folder", "--from", "{corpus}/gone"), "There is no"),
        (("prepare", "folder"), "--from"),
        (("prepare", "folder", "--from", "{corpus}", "--sizes", "1/2"), "TRAIN/VALIDATION/TEST"),
        (("prepare", "folder", "--from", "{corpus}", "--seed", "-1"), "--seed"),
        (("prepare", "folder", "--from", "{corpus}", "--workers", "0"), "--workers"),
        (("prepare", "folder", "--from", "{corpus}", "--subset", "spe"), "only for unimer"),
        (("prepare", "unimer", "--from", "{corpus}"), "--subset"),
        (("prepare", "unimer", "--from", "{corpus}", "--subset", "spe"), "no spe.txt in"),
        (("prepare", "crohme", "--from", "{corpus}"), "no .inkml file"),
        (("prepare", "im2latex", "--from", "{corpus}"), "im2latex_formulas.lst"),
        (("prepare", "hme100k", "--from", "{corpus}"), "no caption.txt"),
        (("audit", "{corpus}"), "holds no train"),
        (("audit", "{corpus}/0.png"), "not a Parquet file"),
        (("preview", "{corpus}/0.png"), "not a Parquet file"),
        (("preview", "{corpus}"), "folder"),
        (("preview", "{corpus}/gone.parquet"), "No such file"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_and_leaves_nothing(  # type: ignore[no-untyped-def]
    texlens, corpus, tmp_path, arguments, words
) -> None:
    out = tmp_path / "out"
    ended = texlens(*(a.format(corpus=corpus) for a in arguments), "--out", out)
    assert ended.status == 2
    assert ended.out == ""
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert "fault in TexLens" not in ended.err
    assert not out.exists()


def test_audit_fails_on_a_leak_only_with_fail_on_leak(texlens, corpus, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "set"
    assert (
        texlens("prepare", "folder", "--from", corpus, "--out", out, "--sizes", "2/0/1").status == 0
    )
    train, test = out / "train.parquet", out / "test.parquet"
    apart = texlens("audit", out, "--out", tmp_path / "a", "--fail-on-leak", "--json")
    assert apart.status == 0, apart.err
    assert json.loads(apart.out)["leaks"][0]["by_formula"] == 0
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(train.read_bytes())
    shared = texlens("audit", train, test, copy, "--out", tmp_path / "b")
    assert shared.status == 0
    assert "of 2 items 2 by formula and 2 by picture are also in train" in shared.out
    failed = texlens("audit", train, copy, "--out", tmp_path / "c", "--fail-on-leak", "--json")
    assert failed.status == 1
    assert failed.err.count("\n") == 1
    assert json.loads(failed.out)["leaks"][0]["by_picture"] == 2
    assert (tmp_path / "c" / "index.html").is_file()


def test_preview_writes_a_sheet_once(texlens, corpus, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "set"
    assert (
        texlens("prepare", "folder", "--from", corpus, "--out", out, "--sizes", "3/0/0").status == 0
    )
    sheet = tmp_path / "sheet.png"
    assert texlens("preview", out / "train.parquet", "--out", sheet, "--limit", 2).status == 0
    with Image.open(sheet) as picture:
        assert picture.size == (1440, 130)
    assert texlens("preview", out / "train.parquet", "--out", sheet).status == 2
    assert texlens("preview", out / "train.parquet", "--out", sheet, "--force").status == 0


def test_render_writes_shards_resumes_and_refuses_other_settings(  # type: ignore[no-untyped-def]
    texlens, tmp_path
) -> None:
    out = tmp_path / "shards"
    (tmp_path / "list.txt").write_text("x^2\n")
    arguments = ("render", "--out", out, "--source", f"list:1:{tmp_path / 'list.txt'}",
                 "--per-shard", 3)  # fmt: skip
    ended = texlens(*arguments, "--pictures", 4, "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == {
        "shards": 2, "shards_written": 2, "pictures_written": 6, "formulas_left_out": 0
    }  # fmt: skip
    again = texlens(*arguments, "--pictures", 9)
    assert [line.split()[-1] for line in again.out.splitlines()] == ["3", "1", "3", "0"]
    other = texlens(*arguments, "--pictures", 4, "--seed", 1)
    assert (other.status, other.err.count("\n")) == (2, 1)
    assert texlens(*arguments, "--pictures", 4, "--seed", 1, "--force").status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give a list"),
        (("list.txt", "--source", "grammar:1"), "Give a list"),
        (("--source", "grammar:1", "--by-hand", "--renderers", "mathjax"), "are for print"),
        (("--source", "grammar:1", "--captions", "c.tsv"), "need --ink"),
        (("--source", "nonsense:1"), "not a source of formulas"),
        (("--source", "list:1:gone.txt"), "Cannot read"),
        (("--ink", "gone"), "no folder 'gone'"),
    ],
)
def test_render_refuses_wrong_input(texlens, tmp_path, arguments, words) -> None:  # type: ignore[no-untyped-def]
    ended = texlens("render", "--out", tmp_path / "out", "--pictures", 3, *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_the_help_of_render_names_every_kind_of_source(texlens) -> None:  # type: ignore[no-untyped-def]
    text = texlens("render", "--help").out
    named = set(text.replace(",", " ").replace(":", " ").split())
    assert named >= set(SOURCE_KINDS)
