"""Whose predictions can be compared: files of any form, folders of scores; and which are refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from texlens.cli.compare import compare as command
from texlens.cli.score import score
from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.evaluate.compare.runs import find_runs
from texlens.records import Example
from texlens.render import png

REFERENCES = {f"p{n}": rf"\frac {{ a }} {{ {n} }}" for n in range(12)}


def answers(wrong: int) -> dict[str, str]:
    return {id_: "z" if n < wrong else text for n, (id_, text) in enumerate(REFERENCES.items())}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Four systems, each in another form, with other spellings of the same references."""
    paths = {
        "lines": tmp_path / "lines.jsonl",
        "official": tmp_path / "official.json",
        "table": tmp_path / "table.csv",
        "columns": tmp_path / "columns.parquet",
    }
    rows = [(id_, REFERENCES[id_], answer) for id_, answer in answers(3).items()]
    paths["lines"].write_text(
        "".join(json.dumps({"id": i, "gt": g, "pred": p}) + "\n" for i, g, p in rows)
    )
    paths["official"].write_text(
        json.dumps([{"img_id": i, "gt": g.replace(" ", ""), "pred": g} for i, g, _ in rows])
    )
    with paths["table"].open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "reference", "hypothesis", "model"])
        writer.writerows([i, f"${g}$", p, "ours"] for i, g, p in reversed(rows))
    pq.write_table(
        pa.table(
            {
                "image": [b"picture"] * 12,
                "id": [i for i, _, _ in rows],
                "latex_formula": [g for _, g, _ in rows],
                "prediction": ["z"] * 12,
            }
        ),
        paths["columns"],
    )
    return paths


def test_files_of_all_forms_and_folders_of_scores_are_compared(
    files: dict[str, Path], tmp_path: Path
) -> None:
    arguments = [str(files["lines"]), "--out", str(tmp_path / "scored"), "--metrics", "exact,bleu"]
    assert CliRunner().invoke(score, arguments, catch_exceptions=False).exit_code == 0
    data = tmp_path / "data.parquet"
    picture = png("x")
    assert isinstance(picture, bytes)
    write_examples(data, [Example(id_, picture, text) for id_, text in REFERENCES.items()])
    systems = [str(tmp_path / "scored"), str(files["official"]), f"csv={files['table']}"]
    arguments = [*systems, str(files["columns"]), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(command, [*arguments, "--data", str(data)], catch_exceptions=False)
    document = json.loads(result.stdout)
    (found,) = document["sets"].values()
    assert list(found["models"]) == ["scored", "official", "csv", "columns"]
    # The keys are those of the folder.
    assert {key for model in found["models"].values() for key in model["metrics"]} == {
        "exact",
        "bleu",
    }
    values = [model["metrics"]["exact"]["value"] for model in found["models"].values()]
    assert values == [0.75, 1.0, 0.75, 0.0]
    assert len(found["pairs"]) == 6
    assert (
        found["references_sha256"]
        == json.loads((tmp_path / "scored" / "metrics.json").read_text())["references_sha256"]
    )
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert page.count("the picture that was read") == 3 + 4


def test_different_references_are_refused_with_the_first_id(
    files: dict[str, Path], tmp_path: Path
) -> None:
    rows = json.loads(files["official"].read_text())
    rows[5]["gt"] = "y"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"references of the id 'p5' differ\.$"):
        find_runs([str(files["lines"]), str(other)], metrics="exact", quiet=True)
    other.write_text(json.dumps(rows[:4]))
    with pytest.raises(InputError, match=r"only '.*lines\.jsonl' has the id 'p4'\.$"):
        find_runs([str(files["lines"]), str(other)], metrics="exact", quiet=True)


def test_one_system_may_be_shown_on_several_sets(files: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"id": "q", "gt": "x", "pred": "x"}))
    arguments = [f"mine={files['lines']}", f"mine={other}"]
    runs = find_runs(arguments, metrics="exact", quiet=True)
    assert [(run.model, run.set) for run in runs] == [
        ("mine", "12 formulas"),
        ("mine", "1 formula"),
    ]


def test_wrong_arguments_are_one_sentence(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        find_runs([str(tmp_path / "absent.jsonl")], quiet=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no metrics\.json: give files of predictions"):
        find_runs([str(tmp_path / "empty")], quiet=True)
    (tmp_path / "no.parquet").write_text("no table")
    with pytest.raises(InputError, match="is not a Parquet file"):
        find_runs([str(tmp_path / "no.parquet")], quiet=True)
