"""Several models over several sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from texlens.data.parquet import write_examples
from texlens.errors import InputError
from texlens.evaluate.suite import evaluate_suite, load_suite
from texlens.metrics.batches import ScoringConfig
from texlens.reading.pictures.opening import as_png
from texlens.records import Example

PLAN = ScoringConfig(("exact", "edit_tokens"), cache=False)


@pytest.fixture
def suite_file(tmp_path: Path, model_folder: Path) -> Path:
    for name, count in (("one", 2), ("two", 3)):
        picture = as_png(Image.linear_gradient("L").rotate(90), max_side=80)
        rows = [Example(str(n), picture, f"x _ {{ {n} }}") for n in range(count)]
        write_examples(tmp_path / f"{name}.parquet", rows)
    document = {
        "models": [
            {"name": "first", "model": str(model_folder)},
            {"name": "second", "model": str(model_folder)},
        ],
        "sets": [
            {"name": "one", "data": "one.parquet"},
            {"name": "two", "data": "two.parquet", "limit": 1},
        ],
    }
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_every_model_reads_every_set(suite_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = evaluate_suite(load_suite(suite_file), out, PLAN, quiet=True)
    assert document == json.loads((out / "suite.json").read_text())
    sizes = {
        name: {model: run["n"] for model, run in runs.items()}
        for name, runs in document["results"].items()
    }
    assert sizes == {"one": {"first": 2, "second": 2}, "two": {"first": 1, "second": 1}}
    assert (out / "two" / "second" / "report.html").is_file()
    assert "| second |" in (out / "suite.md").read_text()


def test_finished_runs_of_an_interrupted_suite_are_kept(suite_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate_suite(load_suite(suite_file), out, PLAN, quiet=True)
    (out / "suite.json").unlink()
    kept = (out / "one" / "first" / "metrics.json").stat().st_mtime_ns
    (out / "one" / "second" / "metrics.json").unlink()
    evaluate_suite(load_suite(suite_file), out, PLAN, quiet=True)
    assert (out / "one" / "first" / "metrics.json").stat().st_mtime_ns == kept
    assert (out / "one" / "second" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sets": []}, "sets"),
        ({"models": [{"name": "../up"}]}, "models.0.name"),
        ({"models": [{"name": "a"}, {"name": "a"}]}, "twice"),
        ({"modles": []}, "modles"),
        ({"sets": [{"name": "a", "data": "x.parquet", "limit": 0}]}, "limit"),
    ],
)
def test_a_wrong_suite_is_named(
    suite_file: Path, change: dict[str, object], complaint: str
) -> None:
    document = yaml.safe_load(suite_file.read_text())
    suite_file.write_text(yaml.safe_dump({**document, **change}))
    with pytest.raises(InputError, match=complaint):
        load_suite(suite_file)


def test_missing_data_stops_a_suite_before_it_begins(suite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "two.parquet").unlink()
    with pytest.raises(InputError, match=r"two\.parquet"):
        evaluate_suite(load_suite(suite_file), tmp_path / "out", PLAN, quiet=True)
    assert not (tmp_path / "out" / "one").exists()
