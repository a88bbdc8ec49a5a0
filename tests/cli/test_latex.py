from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "texlens", *arguments], input=stdin, capture_output=True, check=False
    )


def test_check_shows_the_place_of_an_error() -> None:
    result = run("check", "$x$", "a + \\foo")
    assert result.returncode == 1
    lines = result.stdout.decode().splitlines()
    assert lines[1] == "  a + \\foo"
    assert lines[2] == "      ^"
    assert "1 of 2" in result.stderr.decode()


def test_check_reads_records_and_prints_one_json_document(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"pred": "x^2^3"}\n\n"\\\\frac12"\n{"pred": "y"}\n', "utf-8")
    result = run("check", "--json", "--file", str(file), "--key", "pred")
    assert result.returncode == 2  # line 3 is no record
    file.write_text('{"pred": "x^2^3"}\n\n{"pred": "y"}\n', "utf-8")
    result = run("check", "--json", "--file", str(file), "--key", "pred")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert (document["n"], document["valid"]) == (2, 1)
    assert document["formulas"][0]["position"] == 3
    assert document["formulas"][1]["source"].endswith("line 3")


def test_normalize_takes_arguments_standard_input_and_files(tmp_path: Path) -> None:
    tex = tmp_path / "one.tex"
    tex.write_text("\\[ x_1 % no\n + y \\]\n", "utf-8")
    assert run("normalize", "$x^2_1$").stdout == b"x _ { 1 } ^ { 2 }\n"
    assert run("normalize", stdin=b"\\frac12\n\na\r\n").stdout == b"\\frac { 1 } { 2 }\na\n"
    assert run("normalize", "--file", str(tex)).stdout == b"x _ { 1 } + y\n"
    document = json.loads(run("normalize", "--json", "a_1").stdout)
    assert document["formulas"][0] == {
        "source": "argument 1",
        "latex": "a_1",
        "normal": "a _ { 1 }",
    }


def test_wrong_input_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"\xe9")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"latex": "x"}\n{"latex": \n', "utf-8")
    for arguments, words in [
        (("check", "--file", str(tmp_path / "none.txt")), "No such file"),
        (("check", "--file", str(latin)), "UTF-8"),
        (("normalize", "--file", str(broken)), "line 2"),
        (("check",), "no formulas"),
    ]:
        result = run(*arguments)
        assert result.returncode == 2
        assert result.stdout == b""
        message = result.stderr.decode()
        assert words in message
        assert message.count("\n") == 1
        assert "Traceback" not in message
