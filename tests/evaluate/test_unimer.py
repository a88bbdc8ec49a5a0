"""`texlens evaluate --suite unimer`: all four parts, every picture, references as they are spelled."""

from __future__ import annotations

import json
from pathlib import Path

import layouts
import pytest
from click.testing import CliRunner

from texlens.cli.evaluate import evaluate
from texlens.data.parquet import read_examples
from texlens.errors import InputError
from texlens.evaluate.unimer import PARTS


def run(*arguments: object) -> str:
    result = CliRunner().invoke(evaluate, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_one_model_over_the_four_parts(tmp_path: Path, model_folder: Path) -> None:
    layouts.unimer_zip(tmp_path / "unimer", rows=2)
    out = tmp_path / "out"
    arguments = (
        "--suite", "unimer", "--data", tmp_path / "unimer", "--model", model_folder, "--out", out,
        "--metrics", "bleu_unimer,edit_unimer,exact", "--unconstrained", "--no-reread",
    )  # fmt: skip
    document = json.loads(run(*arguments, "--json"))
    assert list(document["results"]) == list(PARTS)
    for place, part in enumerate(PARTS):
        (found,) = document["results"][part].values()
        assert found["n"] == 2
        assert list(found["metrics"]) == ["bleu_unimer", "edit_unimer", "exact"]
        references = [one.latex_formula for one in read_examples(out / "data" / f"{part}.parquet")]
        assert references == [layouts.formula(1000 * (place + 1) + n) for n in range(2)]

    # An interrupted suite goes on with what is there.
    (out / "suite.json").unlink()
    kept = (out / "spe" / model_folder.name / "metrics.json").stat().st_mtime_ns
    text = run(*arguments)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("| ")] == [
        "part", *PARTS,
    ]  # fmt: skip
    assert (out / "spe" / model_folder.name / "metrics.json").stat().st_mtime_ns == kept


def test_a_folder_without_it_is_named(tmp_path: Path) -> None:
    arguments = ["--suite", "unimer", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match=r"There is no spe\.txt in"):
        CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
