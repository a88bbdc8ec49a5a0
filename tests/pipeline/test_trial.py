"""The trial of a machine: every step runs, and the page has what is as expected and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from texlens.data.formulas.sources import FormulaSource
from texlens.data.parquet import write_examples
from texlens.data.pictures.printed import PrintedShards
from texlens.data.pictures.shards import read_shard, write_shards
from texlens.errors import InputError
from texlens.pipeline.trial.page import summary
from texlens.pipeline.trial.run import Trial, run_trial


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    list(write_shards(PrintedShards((FormulaSource("grammar"),), 40, max_tokens=40), folder, 1))
    path = folder / "pictures.parquet"
    examples = islice(read_shard(next(folder.glob("*.npz"))).examples(), 30)
    write_examples(path, examples)
    return path


def test_too_few_rows_are_one_sentence(model_folder: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 30 rows: a trial reads 40 and trains on others"):
        run_trial(Trial(str(model_folder), pictures, pictures=40, steps=2), tmp_path, quiet=True)


def test_the_page_has_what_to_do_about_what_is_not_as_expected() -> None:
    checks = [
        {"step": "stage 1", "name": "loss", "value": "2, 3", "expected": "it falls",
         "verdict": "fail", "advice": "Take more steps."},
        {"step": "base reads", "name": "cdm", "value": "0.9", "expected": "", "verdict": "",
         "advice": ""},
    ]  # fmt: skip
    trial = {"model": "m", "data": "None", "pictures": 9, "steps": 5, "grpo_steps": 1}
    document = {"checks": checks, "trial": trial, "versions": {}, "device": "CPU"}
    text = summary(document)
    assert "**Not yet: 1 of the 1 values that are checked are not as expected.**" in text
    assert "- stage 1, loss: 2, 3, expected: it falls. Take more steps." in text
    assert "| cdm |  0.9 |" in text


@pytest.mark.slow
def test_every_step_runs_and_is_not_repeated(
    model_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    trial = Trial(
        str(model_folder), pictures, pictures=6, steps=2, grpo_steps=1, max_new_tokens=60,
        device="cpu",
    )  # fmt: skip
    document = run_trial(trial, tmp_path, quiet=True)
    steps = {check["step"] for check in document["checks"]}
    assert steps == {"base reads", "stage 1", "stage 2", "GRPO", "tuned reads", "merged reads"}
    by_name = {(check["step"], check["name"]): check for check in document["checks"]}
    assert by_name["merged reads", "answers as with the adapter"]["value"] == "1.00"
    assert document["passed"] == all(c["verdict"] != "fail" for c in document["checks"])
    assert (tmp_path / "stage2" / "adapter" / "adapter_model.safetensors").is_file()
    page = (tmp_path / "trial.html").read_text()
    assert page.count("<article>") == 6
    assert all(f">{step}</th>" in page for step in ("base", "after stage 2", "merged", "GRPO"))
    (tmp_path / "trial.json").unlink()
    (tmp_path / "steps" / "merged.json").unlink()
    before = json.loads((tmp_path / "steps" / "stage1.json").read_text())
    again = run_trial(trial, tmp_path, quiet=True)
    assert json.loads((tmp_path / "steps" / "stage1.json").read_text()) == before
    assert len(again["checks"]) == len(document["checks"])
    with pytest.raises(InputError, match="holds a finished result"):
        run_trial(trial, tmp_path, quiet=True)
    (tmp_path / "trial.json").unlink()
    with pytest.raises(InputError, match=r"unfinished run with another .*grpo_steps"):
        run_trial(replace(trial, grpo_steps=3), tmp_path, quiet=True)
