"""`texlens score` from the shell: files, table, errors and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = [
    {"id": "a/b.1", "gt": r"\frac{a}{b}", "pred": r"\frac{a}{b}", "source": "one"},
    {"id": "a/b.2", "gt": "x^2", "pred": "x_2", "source": "two"},
    {"id": "a/b.3", "gt": r"\frac{", "pred": "x", "source": "two"},
]
METRICS = "bleu,edit_tokens,exact,layout,exprate_layout"


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def texlens(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "texlens", "score", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        input=stdin,
    )


def test_a_file_is_scored_into_the_files_of_the_design(predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = texlens(predictions, "--out", out, "--metrics", METRICS, "--no-cache")
    assert result.returncode == 0, result.stderr
    assert "| layout " in result.stdout
    assert "## By source" in result.stdout
    assert "1 of 3 references (33.3%) cannot be drawn" in result.stderr
    document = json.loads((out / "metrics.json").read_text())
    assert list(document["metrics"]) == METRICS.split(",")
    layout = document["metrics"]["layout"]
    assert (layout["n"], layout["n_truth_failed"]) == (2, 1)
    assert layout["value_lower"] == pytest.approx(layout["value"] * 2 / 3)
    assert len(layout["ci"]) == 2
    assert layout["signature"].startswith("layout|")
    lines = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in ROWS]
    assert lines[0]["metrics"]["layout"] == 1
    assert lines[2]["metrics"]["layout"] is None
    assert lines[2]["warnings"]
    assert (out / "metrics.md").read_text().startswith("# Scores of 3 predictions")

    again = texlens(predictions, "--out", out, "--metrics", "exact")
    assert again.returncode == 2
    assert "holds a finished result" in again.stderr
    forced = texlens(predictions, "--out", out, "--metrics", "exact", "--force", "--json")
    assert list(json.loads(forced.stdout)["metrics"]) == ["exact"]


def test_one_pair_is_scored_from_the_shell() -> None:
    result = texlens("--gt", "x^2", "--pred", "x^{2}", "--metrics", "exact,edit_tokens", "--json")
    metrics = json.loads(result.stdout)["metrics"]
    assert (metrics["exact"]["value"], metrics["edit_tokens"]["value"]) == (1.0, 0.0)


def test_standard_input_is_read() -> None:
    line = json.dumps(ROWS[0])
    result = texlens("-", "--metrics", "exact", "--json", stdin=line)
    assert json.loads(result.stdout)["metrics"]["exact"]["value"] == 1


def test_an_item_is_explained_and_a_report_written(predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = texlens(
        predictions, "--out", out, "--metrics", "layout", "--explain", "a/b.2", "--no-cache"
    )
    assert result.returncode == 0, result.stderr
    assert {path.suffix for path in (out / "explain").iterdir()} == {".png", ".html"}
    result = texlens(predictions, "--out", out, "--metrics", "layout", "--report", "--no-cache")
    assert result.returncode == 0, result.stderr
    assert "a/b.2" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give either a FILE of predictions, or one pair"),
        (["--gt", "x"], "Give either a FILE of predictions, or one pair"),
        (["FILE", "--gt", "x", "--pred", "y"], "Give either a FILE of predictions"),
        (["FILE", "--metrics", "cdn"], "'cdn' is no metric"),
        (["FILE", "--explain", "a/b.2"], "give the folder with --out"),
        (["FILE", "--out", "OUT", "--explain", "b"], "No prediction has the id 'b'"),
        (["absent.jsonl", "--out", "OUT"], "Cannot read 'absent.jsonl'"),
        (["BROKEN", "--out", "OUT"], "line 2: this is not JSON"),
    ],
)
def test_wrong_arguments_end_in_one_sentence_and_write_nothing(
    predictions: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    broken, out = tmp_path / "broken.jsonl", tmp_path / "out"
    broken.write_text(json.dumps(ROWS[0]) + '\n{"id": "2", \n')
    names = {"FILE": predictions, "BROKEN": broken, "OUT": out}
    result = texlens(*(names.get(argument, argument) for argument in arguments))
    assert result.returncode == 2
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
    assert not out.exists()
