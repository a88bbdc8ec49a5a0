"""`texlens read`: formats, files, the clipboard and comparisons; `texlens watch`. A fake server reads."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_server import answer, fake, formula, sent_picture
from PIL import Image

from texlens.cli.read import read
from texlens.errors import TexlensError

# The picture's width says what is read.
READINGS = {200: r"\frac{a}{b}", 202: r"x % y", 204: r"\nonsense"}


@pytest.fixture
def server() -> Iterator[str]:
    def behaviour(body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return 200, {}, answer(READINGS[sent_picture(body).width], logprobs=[-0.01])

    with fake(behaviour) as (url, _):
        yield url


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for width in READINGS:
        formula(size=(width, 60)).save(folder / f"{width}.png")
    return folder


def run(server: str, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    given = [*map(str, arguments), "--endpoint", server, "--model", "m"]
    result = CliRunner().invoke(read, given)
    error = result.exception
    if isinstance(error, TexlensError):
        return error.exit_status, result.stdout, f"{result.stderr}texlens: {error}\n"
    assert error is None or isinstance(error, SystemExit), error
    return result.exit_code, result.stdout, result.stderr


def test_one_picture_in_every_format(server: str, pictures: Path) -> None:
    expected = {
        "latex": "\\frac{a}{b}\n", "inline": "$\\frac{a}{b}$\n", "display": "\\[ \\frac{a}{b} \\]\n",
        "markdown": "$$\n\\frac{a}{b}\n$$\n", "typst": "$ frac(a, b) $\n",
    }  # fmt: skip
    for form, text in expected.items():
        assert run(server, pictures / "200.png", "--format", form) == (0, text, "")
    assert "<mfrac>" in run(server, pictures / "200.png", "--format", "mathml")[1]
    document = json.loads(run(server, pictures / "200.png", "--format", "json")[1])
    assert [record["latex"] for record in document["readings"]] == [r"\frac{a}{b}"]
    assert json.loads(run(server, "--json", pictures / "missing.png")[1])["readings"][0]["error"]


@pytest.mark.parametrize(("option", "asked"), [("--constrained", 2), ("--unconstrained", 1)])
def test_a_server_constrains_answers_where_it_is_asked_to(
    pictures: Path, option: str, asked: int
) -> None:
    with fake(lambda _: (200, {}, answer(r"\frac { 1", logprobs=[-0.01]))) as (url, seen):
        assert run(url, pictures / "200.png", option)[0] == 0
    assert ["structured_outputs" in body for body in seen] == [False, True][:asked]
    status, _, errors = run(url, pictures / "200.png", "--no-reread")
    assert (status, "leave out --best-of, --no-reread and --decoding" in errors) == (2, True)


def test_what_a_format_cannot_hold_is_said_and_the_rest_written(
    server: str, pictures: Path
) -> None:
    status, output, errors = run(server, pictures, "--format", "typst")
    assert status == 1
    lines = [line.split("\t") for line in output.splitlines()]
    assert [(Path(path).name, text) for path, _, text in lines] == [
        ("200.png", "$ frac(a, b) $"), ("202.png", "$ x $"),
    ]  # fmt: skip
    assert "204.png: The formula '\\nonsense' cannot be converted" in errors
    assert errors.endswith("texlens: 1 of 3 pictures could not be read.\n")


def test_into_a_file_once_it_is_whole(server: str, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.txt"
    assert run(server, pictures / "200.png", "--out", out)[:2] == (0, "")
    assert out.read_text() == "\\frac{a}{b}\n"
    status, _, errors = run(server, pictures / "202.png", "--out", out)
    assert (status, out.read_text()) == (2, "\\frac{a}{b}\n")
    assert "--force" in errors
    assert run(server, pictures / "202.png", "--out", out, "--force")[0] == 0
    assert out.read_text() == "x\n"
    assert run(server, pictures / "202.png", "--out", tmp_path)[0] == 2


def test_a_word_document_of_several(server: str, pictures: Path, tmp_path: Path) -> None:
    import docx

    assert run(server, pictures, "--format", "docx")[0] == 2
    out = tmp_path / "formulas.docx"
    assert run(server, pictures, "--format", "docx", "--out", out)[0] == 1
    document = docx.Document(io.BytesIO(out.read_bytes()))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert [Path(text).name for text in texts] == [
        "200.png",
        "",
        "202.png",
        "",
        "204.png",
        "\\nonsense",
    ]
    assert len(document.element.xpath("//m:oMath")) == 2


def test_a_data_set_is_read_row_by_row(server: str, pictures: Path, tmp_path: Path) -> None:
    from texlens.data.parquet import write_examples
    from texlens.records import Example

    rows = [
        Example(f"a/{width}", (pictures / f"{width}.png").read_bytes(), "") for width in (200, 202)
    ]
    write_examples(tmp_path / "set.parquet", rows)
    status, output, _ = run(server, tmp_path / "set.parquet")
    assert status == 0
    assert output == "a/200\t0.99\t\\frac{a}{b}\na/202\t0.99\tx\n"
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    status, output, errors = run(server, tmp_path / "bad.parquet", pictures / "200.png")
    assert status == 1
    assert output.endswith("\\frac{a}{b}\n")
    assert len(errors.splitlines()) == 2


def test_pictures_beside_their_readings(server: str, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compared"
    shutil.copytree(pictures, pictures / "again")
    status, output, _ = run(server, pictures, "--save-rendering", folder)
    assert (status, len(output.splitlines())) == (0, 6)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["200-2.png", "200.png", "202-2.png", "202.png", "204-2.png", "204.png"]
    with Image.open(folder / "200.png") as sheet:
        assert sheet.width >= 200
        assert sheet.height > 2 * 60
    assert run(server, pictures, "--save-rendering", folder)[0] == 2
    assert run(server, pictures, "--save-rendering", folder, "--force")[0] == 0


def test_the_clipboard_both_ways(
    server: str, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    copied: list[str] = []
    monkeypatch.setattr("pyperclip.copy", copied.append)
    for held in (formula(size=(200, 60)), [str(pictures / "200.png")]):
        monkeypatch.setattr("PIL.ImageGrab.grabclipboard", lambda held=held: held)
        assert run(server, "--clipboard", "--copy", "--format", "inline")[0] == 0
    assert copied == [r"$\frac{a}{b}$"] * 2
    monkeypatch.setattr("PIL.ImageGrab.grabclipboard", lambda: None)
    status, _, errors = run(server, "--clipboard")
    assert status == 2
    assert "contains no picture" in errors


def test_no_clipboard_is_one_sentence(
    server: str, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    for arguments in (["--clipboard"], [str(pictures / "200.png"), "--copy"]):
        status, _, errors = run(server, *arguments)
        assert status == 2
        assert errors.count("\n") == 1
        assert "clipboard" in errors


def test_options_that_contradict_each_other(server: str, pictures: Path) -> None:
    for wrong in (
        [],
        [pictures, "--adapter", "x"],
        [pictures, "--copy", "--json"],
        [pictures, "--prompt", pictures],
        [pictures, "--prompt", "thinking"],
        [pictures, "--decoding", "model"],
        [pictures, "--best-of", "3"],
    ):
        status, output, errors = run(server, *wrong)
        assert (status, output) == (2, "")
        assert errors.startswith("texlens: ")


@pytest.mark.slow
def test_watching_reads_what_is_written_to_its_end(server: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "shots", tmp_path / "formulas"
    folder.mkdir()
    formula().save(folder / "old.png")
    command = [sys.executable, "-m", "texlens", "watch", str(folder), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--endpoint", server, "--model", "m"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert "Watching" in process.stderr.readline()
        time.sleep(0.5)  # until the system watches
        stream = io.BytesIO()
        formula(size=(200, 60)).save(stream, "PNG")
        content = stream.getvalue()
        (folder / "half.png").write_bytes(content[: len(content) // 2])
        time.sleep(0.8)
        (folder / "half.png").write_bytes(content)
        assert process.stdout.readline() == f"{folder / 'half.png'}\t0.99\t\\frac{{a}}{{b}}\n"
        formula(size=(202, 60)).save(folder / ".hidden.png")
        (folder / ".hidden.png").rename(folder / "renamed.png")
        assert process.stdout.readline().endswith("renamed.png\t0.99\tx\n")
        for _ in range(100):  # printed first, then written
            if (out / "renamed.tex").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    finally:
        watchdog.cancel()
        process.kill()
    assert (rest, errors, process.returncode) == ("", "2 pictures read, 0 failed.\n", 0)
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "half.tex": "\\frac{a}{b}\n", "renamed.tex": "x\n",
    }  # fmt: skip
