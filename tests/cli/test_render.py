"""`texlens render` from the shell: one file, many, boxes, a sheet, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from texlens.cli.render import render
from texlens.errors import InputError, TexlensError


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(render, [str(argument) for argument in arguments], input=stdin)


def test_one_formula_into_one_file_by_its_ending(tmp_path: Path) -> None:
    result = run(r"$\frac{a}{b}$", "--out", tmp_path / "a.png", "--height", "40")
    assert result.output == f"1 of 1 rendered: {tmp_path / 'a.png'}\n"
    assert Image.open(tmp_path / "a.png").height == 40
    assert run("x", "--out", tmp_path / "a.svg").exit_code == 0
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    assert run(r"\sqrt{x}", "--out", tmp_path / "a.json").exit_code == 0
    boxes = json.loads((tmp_path / "a.json").read_text())["boxes"]
    assert [box["kind"] for box in boxes] == ["radical", "glyph", "rule"]


def test_many_formulas_into_a_folder_or_a_sheet(tmp_path: Path) -> None:
    formulas = "a\n\n$$b$$\nc\n"
    assert run("--out", tmp_path / "many", "--as", "svg", stdin=formulas).exit_code == 0
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["1.svg", "2.svg", "3.svg"]
    (tmp_path / "formulas.txt").write_text(formulas)
    sheet = tmp_path / "sheet.png"
    assert run("--file", tmp_path / "formulas.txt", "--sheet", "--out", sheet).exit_code == 0
    assert Image.open(sheet).width == 1200
    assert run("x=y", "--boxes", "--out", tmp_path / "boxes.png").exit_code == 0


def test_failures_are_named_and_the_rest_is_rendered(tmp_path: Path) -> None:
    result = run("a", r"\frac{", "--out", tmp_path)
    assert isinstance(result.exception, TexlensError)
    assert result.exception.exit_status == 1
    assert "Formula 2" in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["1.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "y", "--out", "one.png"), "give a folder"),
        (("x", "--out", "there.png"), "exists"),
        (("--file", "none.txt", "--out", "z.png"), "Cannot read"),
        (("--file", "latin1.txt", "--out", "z.png"), "not UTF-8"),
        (("--file", "empty.txt", "--out", "z.png"), "no formula"),
        (("x", "--em", "3", "--dpi", "3", "--out", "z.png"), "one positive size"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "latin1.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("\n")
    before = sorted(p.name for p in tmp_path.iterdir())
    result = run(*arguments)
    assert isinstance(result.exception, InputError), result.output
    assert message in str(result.exception)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "there.png").read_bytes() == b"mine"
