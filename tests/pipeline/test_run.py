"""The whole pipeline on a tiny model: its files, what is kept, what is resumed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import layouts
import pytest
import yaml
from click.testing import CliRunner

from texlens.cli.pipeline import pipeline as command
from texlens.data.reports import REPORTS
from texlens.errors import InputError
from texlens.evaluate import run as evaluation
from texlens.pipeline.config import PipelineConfig
from texlens.pipeline.run import run_pipeline
from texlens.runs import read_json
from texlens.train.config import load_recipe, recipe_names

SETTINGS = {
    "lora": {"r": 2, "lora_alpha": 4}, "num_train_epochs": None, "max_steps": 2, "per_device_train_batch_size": 2, "eval_steps": 100,
    "dev_metrics": ["exact"], "save_steps": 1, "logging_steps": 1, "dataloader_num_workers": 0, "report_to": [],
    "device": "cpu",
}  # fmt: skip
SMALL = {"source": "synthetic", "max_tokens": 40}


@pytest.fixture(scope="module")
def document(model_folder: Path) -> dict[str, Any]:
    """A pipeline of two sets and one stage, on a model of a few ten thousand weights."""
    return {
        "description": "Tiny",
        "heading": "Mechanics only, no claim <tiny>",
        "model": str(model_folder),
        "sets": {
            "printed": SMALL | {"count": 12, "sizes": [4, 1, 2]},
            "unseen": {"source": "unseen-fonts", "count": 6, "sizes": [0, 0, 2]},
        },
        "stages": [
            {
                "name": "stage1", "job": "sft", "recipe": "sft_printed_small", "data": ["printed"],
                "settings": SETTINGS,
            }
        ],
        "reading": {
            "constrained": False, "reread": False, "metrics": ["bleu", "exact", "edit_tokens"],
        },
    }  # fmt: skip


def steps(out: Path) -> dict[str, int]:
    """When the record of each step was last written."""
    return {path.stem: path.stat().st_mtime_ns for path in (out / "steps").glob("*.json")}


def changed(document: dict[str, Any], **settings: Any) -> PipelineConfig:
    copy = json.loads(json.dumps(document))
    copy["stages"][0]["settings"] |= settings.pop("stage", {})
    return PipelineConfig.model_validate(copy | settings)


def test_a_tiny_pipeline_runs_is_kept_changed_and_resumed(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def dies(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    # It dies in the middle: while the base is scored.
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "score_predictions", dies)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(changed(document), out, quiet=True)
    begun = steps(out)
    assert set(begun) == {"prepare_printed", "prepare_unseen", "audit", "evaluate_base_printed"}
    predictions = out / "evaluations" / "printed" / "base" / "predictions.jsonl"
    read_at = predictions.stat().st_mtime_ns

    result = run_pipeline(changed(document), out, quiet=True)
    finished = steps(out)
    for name in ("prepare_printed", "prepare_unseen", "audit"):
        assert finished[name] == begun[name]
    assert predictions.stat().st_mtime_ns == read_at  # read before it died, not again
    assert list(result["sets"]) == ["printed", "unseen"]
    assert list(result["sets"]["printed"]["models"]) == ["base", "stage1"]
    assert result["sets"]["unseen"]["models"]["stage1"]["n"] == 2
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert page.index("Mechanics only, no claim &lt;tiny&gt;") < page.index("<h1>")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    for link in {part.split('"')[0] for part in page.split('href="')[1:]}:
        assert (out / "report" / link).resolve().is_file(), link

    run_pipeline(changed(document), out, quiet=True)
    assert steps(out) == finished  # nothing was done again
    kept = json.loads((out / "steps" / "train_stage1.json").read_text())
    assert kept["state"] == "done"

    # Another learning rate: only what follows from it is done again.
    other = run_pipeline(changed(document, stage={"learning_rate": 0.01}), out, quiet=True)
    again = steps(out)
    assert {name for name in again if again[name] != finished[name]} == {
        "train_stage1", "evaluate_stage1_printed", "evaluate_stage1_unseen", "compare",
    }  # fmt: skip
    assert other["sets"]["printed"]["models"]["base"] == result["sets"]["printed"]["models"]["base"]


def test_mistakes_are_found_before_anything_is_done(
    document: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="learning_rat"):
        run_pipeline(changed(document, stage={"learning_rat": 1}), out, quiet=True)
    assert not out.exists()
    file = tmp_path / "mine.yaml"
    for key, value, complaint in (
        (
            "sets.printed.source",
            "synthetik",
            "sets.printed.source: Input should be 'latex-formulas'",
        ),
        ("stages.0.data", ["absent"], "'absent', which is not a set"),
        ("stages.0.name", "base", "'base' is taken"),
        ("reading.metrics", ["bluu"], "reading.metrics.0: Input should be 'bleu'"),
        ("set", {}, "there is no setting 'set'"),
    ):
        file.write_text(yaml.safe_dump(document))
        with pytest.raises(InputError, match=complaint):
            load_recipe(str(file), PipelineConfig, {key: value})


def test_the_best_weights_of_a_stage_can_go_on(document: dict[str, Any], tmp_path: Path) -> None:
    """Their metric is accepted before the data is prepared, when the sets are only planned."""
    config = changed(document, stage={"metric_for_best_model": "printed.exact"})
    config = config.model_copy(
        update={"stages": (config.stages[0].model_copy(update={"best": True}),)}
    )
    run_pipeline(config, tmp_path, quiet=True)
    about = read_json(tmp_path / "evaluations" / "printed" / "stage1" / "metrics.json")["run"]
    assert about["model"].endswith("with " + str(tmp_path / "stages" / "stage1" / "best"))


def test_a_set_without_test_items_is_named(document: dict[str, Any], tmp_path: Path) -> None:
    sets = {"printed": SMALL | {"count": 2, "sizes": [2, 0, 0]}}
    with pytest.raises(InputError, match="The set 'printed' has no test items"):
        run_pipeline(changed(document, sets=sets), tmp_path / "out", quiet=True)


@pytest.mark.parametrize(
    ("name", "sets", "stages"),
    [
        ("pipeline_quick", 4, ["stage1", "stage2", "grpo"]),
        ("pipeline_full", 4, ["stage1", "stage2", "grpo"]),
        ("pipeline_qwen_ocr", 4, ["stage1", "stage2"]),
        ("pipeline_grpo_3b", 1, ["grpo"]),
        ("pipeline_grpo_7b", 1, ["grpo"]),
    ],
)
def test_shipped_pipelines_are_whole(
    name: str, sets: int, stages: list[str], tmp_path: Path
) -> None:
    config = load_recipe(name, PipelineConfig)
    assert recipe_names()[name] == config.description != ""
    assert [stage.name for stage in config.stages] == stages
    assert len(config.sets) == sets
    if name == "pipeline_quick":
        assert "no claim" in config.heading
        assert not any(plan.files for plan in config.sets.values())
    elif any(plan.files for plan in config.sets.values()):
        # Its corpora are missing, which is an error before the first step.
        with pytest.raises(InputError, match=r"no 'data/.*', which the set 'handwritten'"):
            run_pipeline(config, tmp_path / "out", quiet=True)
        assert not (tmp_path / "out").exists()


def test_the_sets_of_a_report_are_those_that_data_prepare_makes() -> None:
    for pipeline, report in (("pipeline_qwen_ocr", "qwen-ocr"), ("pipeline_grpo_3b", "latex-ocr")):
        config = load_recipe(pipeline, PipelineConfig)
        for (_, plan), one in zip(config.sets.items(), REPORTS[report].sets.values(), strict=True):
            assert (plan.source, plan.subset, plan.order) == (one.corpus, one.subset, one.order)
            assert plan.sizes in (one.sizes, None)  # None: the corpus's own, which are the report's
            assert plan.seed == 42


# The shipped recipes at the shape of the embedded model.
SMALL_RUN = {
    "eval_steps": 100, "eval_loss_steps": None, "save_steps": 50, "logging_steps": 1, "report_to": [], "prompt_config": {},
    "dataloader_num_workers": 0, "gradient_checkpointing": False, "max_length": 1024, "precision": "float32",
}  # fmt: skip
SMALL_GRPO = {
    "max_steps": 1, "quantisation": None, "optim": "adamw_torch", "precision": "float32", "num_generations": 2,
    "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1, "eval_steps": 100, "save_steps": 50,
    "report_to": [], "prompt_config": {"max_new_tokens": 60}, "gradient_checkpointing": False, "max_prompt_length": 900,
}  # fmt: skip


def run_recipe(name: str, out: Path, changes: dict[str, Any]) -> Path:
    """The report's folder of a shipped pipeline, run with changes by the command."""
    arguments = [
        part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")
    ]
    result = CliRunner().invoke(
        command, [name, "--out", str(out), *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert (out / "report" / "results.md").read_text().strip() in result.stdout
    return out / "report"


def assert_every_table_is_filled(report: Path, models: list[str], measures: list[str]) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert page.index("data:image/svg+xml") < page.index("<table>")  # it opens with a picture
    results = (report / "results.md").read_text(encoding="utf-8")
    document = json.loads((report / "compare.json").read_text())
    for found in document["sets"].values():
        assert list(found["models"]) == models
        for model in found["models"].values():
            for key in measures:
                assert key in results
                assert model["metrics"][key]["value"] is not None
                assert model["metrics"][key]["ci"] is not None
    assert "n/a" not in results


@pytest.mark.slow
def test_the_qwen_ocr_report_in_miniature(tmp_path: Path) -> None:
    layouts.latex_formulas(tmp_path / "latex-formulas", rows=40)
    layouts.linxy(tmp_path / "linxy", (20, 2, 2))
    layouts.hme100k_as_distributed(tmp_path / "HME100K", train=20, first=300)
    layouts.unimer_zip(tmp_path / "unimer")
    files = {
        "printed": ["latex-formulas"], "handwritten": ["linxy", "HME100K"], "pix2tex": ["unimer"], "screen": ["unimer"],
    }  # fmt: skip
    changes: dict[str, Any] = {
        f"sets.{name}.files": [str(tmp_path / one) for one in places]
        for name, places in files.items()
    }
    changes |= {f"sets.{name}.sizes": [12, 2, 3] for name in ("printed", "handwritten")}
    changes |= {f"sets.{name}.sizes": [0, 0, 3] for name in ("pix2tex", "screen")}
    changes |= {"model": None, "workers": 1, "reading.max_new_tokens": 40}
    changes["stages.0.settings"] = SMALL_RUN | {"max_steps": 2, "schedule_steps": 3}
    changes["stages.1.settings"] = SMALL_RUN | {
        "max_steps": 2, "schedule_start": 2, "schedule_steps": 6,
    }  # fmt: skip
    report = run_recipe("pipeline_qwen_ocr", tmp_path / "out", changes)
    assert_every_table_is_filled(
        report,
        ["base", "stage1", "stage2"],
        ["bleu_unimer", "edit_unimer", "cdm", "exprate_cdm"],
    )


@pytest.mark.slow
def test_the_grpo_report_in_miniature(tmp_path: Path, pdflatex: str) -> None:
    layouts.unsloth(tmp_path / "unsloth", train=20, test=4)
    changes = {
        "model": None, "workers": 1, "sets.latex_ocr.files": [str(tmp_path / "unsloth")], "sets.latex_ocr.sizes": [12, 2, 3],
        "reading.max_new_tokens": 40, "reading.prompt": "plain", "stages.0.settings": SMALL_GRPO,
    }  # fmt: skip
    report = run_recipe("pipeline_grpo_3b", tmp_path / "out", changes)
    assert_every_table_is_filled(
        report, ["base", "grpo"], ["rouge_l", "brace_valid", "katex_valid", "compiles"]
    )
    merged = tmp_path / "out" / "stages" / "grpo_merged"
    assert (merged / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_quick_pipeline_with_all_its_stages_in_miniature(tmp_path: Path) -> None:
    """Every stage of the shipped file, GRPO too, with budgets of one step."""
    os.chdir(tmp_path)
    short = {"minutes": None, "max_steps": 1, "per_device_train_batch_size": 4}
    changes: dict[str, Any] = {
        f"stages.{n}.settings.{k}": v for n in range(2) for k, v in short.items()
    }
    changes |= {
        "stages.2.settings.max_steps": 1, "workers": 1,
        **{f"sets.{name}.count": 24 for name in ("printed", "handwritten", "unseen_fonts", "screen")},
        **{f"sets.{name}.sizes": [8, 2, 2] for name in ("printed", "handwritten")},
        **{f"sets.{name}.sizes": [0, 0, 2] for name in ("unseen_fonts", "screen")},
    }  # fmt: skip
    arguments = [
        part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")
    ]
    result = CliRunner().invoke(command, ["pipeline_quick", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Mechanics only, no claim" in result.stdout
    assert re.search(r"\|\s+grpo \|", result.stdout)
    assert (tmp_path / "runs" / "pipeline_quick" / "report" / "index.html").is_file()
