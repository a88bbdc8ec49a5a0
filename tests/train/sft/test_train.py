"""Supervised fine-tuning: exact after a kill, readable by anyone, honest about what it left out."""

from __future__ import annotations

import errno
import itertools
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from texlens.data.parquet import read_examples, write_examples
from texlens.errors import InputError, TexlensError
from texlens.train import fine_tune
from texlens.train.data.prepared import prepare_examples
from texlens.train.network.adapters import load_for_training, module_of
from texlens.train.run import schedule
from texlens.train.run.curves import read_log
from texlens.train.settings import DataFile
from texlens.train.sft.batches import AnswerCollator
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft
from texlens.train.sft.trainer import FormulaSftTrainer

Tuning = Callable[..., SftConfig]


class Killed(Exception):
    """Stands for the end of the process."""


def kill_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = FormulaSftTrainer.training_step

    def dying(trainer: FormulaSftTrainer, *arguments: Any, **settings: Any) -> torch.Tensor:
        if trainer.state.global_step == steps:
            raise Killed
        loss: torch.Tensor = honest(trainer, *arguments, **settings)
        return loss

    monkeypatch.setattr(FormulaSftTrainer, "training_step", dying)


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_a_killed_run_goes_on_to_the_same_weights(tuning: Tuning, tmp_path: Path) -> None:
    # Two epochs of data, dropout, accumulation: the order, the chances and the moments all matter.
    config = tuning(max_steps=16, num_train_epochs=None)
    train_sft(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        kill_after(11, patch)
        with pytest.raises(Killed):
            train_sft(config, tmp_path / "killed")
    assert not (tmp_path / "killed" / "run.json").exists()
    kept = [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()]
    assert kept == ["checkpoint-9"]
    (tmp_path / "killed" / "checkpoints" / "checkpoint-10").mkdir()  # was being written: no seal
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 10, "loss": 9}\n{"step"')
    train_sft(config, tmp_path / "killed")
    whole, killed = adapter(tmp_path / "whole"), adapter(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    for name, weight in whole.items():
        assert torch.equal(weight, killed[name]), name
    steps = [[r["step"] for r in read_log(tmp_path / n / "log.jsonl")] for n in ("whole", "killed")]
    assert steps[0] == steps[1] == [2, 4, 6, 8, 10, 12, 14, 16]


def test_what_a_run_leaves(tuning: Tuning, pictures: Path, tmp_path: Path) -> None:
    dev = [
        {"name": "printed", "parquet": str(pictures), "rows": [40, 50], "sample": 3},
        {"name": "handwritten", "parquet": str(pictures), "rows": [50, 60], "sample": 2},
    ]
    config = tuning(
        dev=dev, report_to=["tensorboard"], metric_for_best_model="handwritten.edit_tokens"
    )
    summary = train_sft(config, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "adapter", "best", "config.yaml", "curves.csv", "curves.png", "dataset.json", "log.jsonl",
        "dev_printed.jsonl", "dev_handwritten.jsonl", "README.md", "run.json", "start.json",
        "tensorboard",
    }  # fmt: skip
    assert (
        SftConfig.model_validate(yaml.safe_load((tmp_path / "config.yaml").read_text())) == config
    )
    assert json.loads((tmp_path / "run.json").read_text()) == summary
    log = read_log(tmp_path / "log.jsonl")
    read = [record for record in log if "printed_cdm" in record]
    assert [record["step"] for record in read] == [0, 4, 8]
    assert {"handwritten_exact", "handwritten_layout", "printed_edit_tokens"} <= read[0].keys()
    losses = [record["loss"] for record in log if "loss" in record]
    assert losses[-1] < losses[0]
    assert max(record["learning_rate"] for record in log if "loss" in record) <= 1e-2
    best = json.loads((tmp_path / "best" / "best.json").read_text())
    values = {record["step"]: record["handwritten_edit_tokens"] for record in read}
    assert best["handwritten_edit_tokens"] == min(values.values()) == values[best["step"]]
    assert summary["data"]["files"][0]["kept"] == 20
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert summary["data"]["sha256"] in card
    assert f"{summary['parameters']['trained']:,} of" in card
    readings = (tmp_path / "dev_printed.jsonl").read_text().splitlines()
    assert len(readings) == 3
    assert {"id", "gt", "pred"} <= json.loads(readings[0]).keys()


def test_other_settings_do_not_go_on(tuning: Tuning, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill_after(4, patch)
        with pytest.raises(Killed):
            train_sft(tuning(), tmp_path)
    with pytest.raises(
        InputError,
        match=r"started with another per_device_train_batch_size, learning_rate: .*--force",
    ):
        train_sft(tuning(learning_rate=0.5, per_device_train_batch_size=1), tmp_path)
    assert (
        train_sft(tuning(per_device_train_batch_size=1, max_steps=2), tmp_path, overwrite=True)[
            "step"
        ]
        == 2
    )


def test_changed_data_or_processes_do_not_go_on(
    tuning: Tuning, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, out = tmp_path / "data.parquet", tmp_path / "run"
    shutil.copy(pictures, copied)
    config = tuning(data=[{"parquet": str(copied)}])
    with pytest.MonkeyPatch.context() as patch:
        kill_after(4, patch)
        with pytest.raises(Killed):
            train_sft(config, out)
    before = (out / "dataset.json").read_text()
    examples = list(read_examples(pictures))
    write_examples(copied, [replace(examples[0], latex_formula="x"), *examples[1:]])
    with pytest.raises(InputError, match=r"data\.parquet' has changed since the run"):
        train_sft(config, out)
    assert (out / "dataset.json").read_text() == before
    shutil.copy(pictures, copied)
    start = json.loads((out / "start.json").read_text())
    (out / "start.json").write_text(json.dumps(start | {"number of processes": 2}))
    with pytest.raises(InputError, match="started with another number of processes"):
        train_sft(config, out)
    (out / "start.json").write_text(json.dumps(start))
    assert train_sft(config, out)["step"] == 8


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "memory of the GPU is used up: halve"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: make room for"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "data loader died",
        ),
    ],
)
def test_a_failure_of_the_machine_is_one_sentence_and_the_run_goes_on(
    failure: Exception, complaint: str, tuning: Tuning, tmp_path: Path
) -> None:
    config = tuning(lora={"r": 4, "lora_alpha": 8})
    honest = FormulaSftTrainer.training_step

    def failing(trainer: FormulaSftTrainer, *arguments: Any, **settings: Any) -> torch.Tensor:
        if trainer.state.global_step == 4:
            raise failure
        loss: torch.Tensor = honest(trainer, *arguments, **settings)
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FormulaSftTrainer, "training_step", failing)
        with pytest.raises(TexlensError, match=complaint) as raised:
            fine_tune(config, tmp_path)
    assert "\n" not in str(raised.value)
    # As the sentence advises: smaller parts of the same steps.
    smaller = tuning(
        lora={"r": 4, "lora_alpha": 8}, per_device_train_batch_size=1, gradient_accumulation_steps=4
    )
    assert fine_tune(smaller, tmp_path)["step"] == 8


def test_a_run_that_no_longer_improves_ends(tuning: Tuning, pictures: Path, tmp_path: Path) -> None:
    dev = [{"name": "printed", "parquet": str(pictures), "rows": [40, 50], "sample": 2}]
    config = tuning(
        dev=dev, dev_metrics=["exact"], eval_steps=2, early_stopping_patience=2, max_steps=30,
        learning_rate=1e-12,
    )  # fmt: skip
    summary = train_sft(config, tmp_path)
    assert (summary["best"]["step"], summary["step"]) == (0, 4)
    evaluated = [r for r in read_log(tmp_path / "log.jsonl") if "printed_exact" in r]
    assert [record["step"] for record in evaluated] == [0, 2, 4]
    assert all(record["seconds_evaluation"] > 0 for record in evaluated)
    assert "seconds_evaluation" not in summary["dev"]


def test_a_budget_in_minutes_ends_the_run_and_the_learning_rate(
    tuning: Tuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # a second passes each time one looks
    monkeypatch.setattr(schedule, "monotonic", lambda: float(next(clock)))
    summary = train_sft(tuning(max_steps=None, minutes=0.6, logging_steps=1, lora=None), tmp_path)
    assert 4 < summary["step"] < 36
    assert 0.6 <= summary["minutes"] < 0.8
    rates = [record["learning_rate"] for record in read_log(tmp_path / "log.jsonl")]
    assert rates[-1] < 0.5 * max(rates)


def test_a_second_stage_goes_on_with_the_adapter_of_the_first(
    tuning: Tuning, tmp_path: Path
) -> None:
    train_sft(tuning(max_steps=2), tmp_path / "first")
    start = str(tmp_path / "first" / "adapter")
    train_sft(tuning(max_steps=1, adapter=start, learning_rate=1e-12), tmp_path / "second")
    first, second = adapter(tmp_path / "first"), adapter(tmp_path / "second")
    for name, weight in first.items():
        torch.testing.assert_close(weight, second[name])
    with pytest.raises(InputError, match=r"trained with another r \(4\): .*texlens merge"):
        train_sft(tuning(adapter=start, lora={"r": 2, "lora_alpha": 8}), tmp_path / "third")
    with pytest.raises(InputError, match="holds no adapter"):
        train_sft(tuning(adapter=str(tmp_path)), tmp_path / "third")


def test_the_optimiser_goes_on_with_the_adapter(tuning: Tuning, tmp_path: Path) -> None:
    """Two runs of five steps, the second with the optimiser of the first, are one run of ten."""
    common: dict[str, Any] = {
        "lora": {"r": 4, "lora_alpha": 8}, "per_device_train_batch_size": 20,
        "gradient_accumulation_steps": 1, "lr_scheduler_type": "constant", "warmup_ratio": 0,
        "data": [tuning().data[0].model_dump()],
    }  # fmt: skip
    train_sft(tuning(max_steps=10, **common), tmp_path / "whole")
    train_sft(tuning(max_steps=5, save_optimizer=True, **common), tmp_path / "first")
    start = str(tmp_path / "first" / "adapter")
    for name, on in (("second", True), ("anew", False)):
        config = tuning(max_steps=5, adapter=start, continue_optimizer=on, **common)
        train_sft(config, tmp_path / name)
    whole = adapter(tmp_path / "whole")
    for name, weight in adapter(tmp_path / "second").items():
        torch.testing.assert_close(weight, whole[name], rtol=1e-3, atol=1e-5)
    assert any(
        not torch.allclose(weight, whole[name], rtol=1e-3, atol=1e-3)
        for name, weight in adapter(tmp_path / "anew").items()
    )
    (tmp_path / "first" / "adapter").rename(tmp_path / "first" / "best")
    for folder, complaint in (("first/best", "belongs to the weights in 'adapter'"),
                              ("anew/adapter", "with save_optimizer")):  # fmt: skip
        config = tuning(adapter=str(tmp_path / folder), continue_optimizer=True, **common)
        with pytest.raises(InputError, match=complaint):
            train_sft(config, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_the_loss_on_dev_sets_is_the_mean_over_examples(
    tuning: Tuning, pictures: Path, tmp_path: Path
) -> None:
    dev = [{"name": "printed", "parquet": str(pictures), "rows": [40, 50], "sample": 1}]
    config = tuning(
        dev=dev, eval_loss_steps=3, dev_metrics=["exact"], per_device_eval_batch_size=3,
        learning_rate=1e-12, lora={"r": 4, "lora_alpha": 8},
    )  # fmt: skip
    summary = train_sft(config, tmp_path)
    log = read_log(tmp_path / "log.jsonl")
    values = {r["step"]: r["printed_loss"] for r in log if "printed_loss" in r}
    assert list(values) == [0, 3, 6, 8]
    loaded = load_for_training(config)
    files = [DataFile(parquet=pictures, rows=(40, 50))]
    data = prepare_examples(files, loaded, max_length=4096, quiet=True)
    collator = AnswerCollator(loaded, data.prompt)
    with torch.inference_mode():
        losses = [float(loaded.model(**collator([row])).loss) for row in data.table]
    assert values[0] == pytest.approx(sum(losses) / 10, rel=1e-4)
    assert (
        summary["dev_at_start"].keys() == summary["dev"].keys() == {"printed_exact", "printed_loss"}
    )


def test_modules_have_rates_of_their_own(tuning: Tuning, tmp_path: Path) -> None:
    config = tuning(
        max_steps=2, learning_rates={"vision": 1e-12, "merger": 1e-12}, warmup_ratio=0,
        augmentation={"photo": 1, "strength": 0.3},
    )  # fmt: skip
    train_sft(config, tmp_path)
    moved = {module_of(name): False for name in adapter(tmp_path)}
    for name, weight in adapter(tmp_path).items():
        if "lora_B" in name:  # 0 at the start
            moved[module_of(name)] |= bool(weight.abs().max() > 1e-6)
    assert moved == {"language_model": True, "vision": False, "merger": False}
    with pytest.raises(ValueError, match="merger is not among the trainable_modules"):
        tuning(trainable_modules=["vision"], learning_rates={"merger": 1e-3})


def test_a_loss_that_is_no_number_ends_the_run_with_one_sentence(
    tuning: Tuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = FormulaSftTrainer.compute_loss
    monkeypatch.setattr(
        FormulaSftTrainer, "compute_loss", lambda *a, **k: honest(*a, **k) * math.nan
    )
    with pytest.raises(TexlensError, match=r"step 2 is not a number: lower learning_rate"):
        train_sft(tuning(), tmp_path)


def test_four_bits_train(tuning: Tuning, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    summary = train_sft(
        tuning(quantisation="nf4", max_steps=2, trainable_modules=["language_model"]), tmp_path
    )
    weights = adapter(tmp_path)
    assert any("lora_B" in name and weight.any() for name, weight in weights.items())
    assert all("visual" not in name for name in weights)
    assert summary["parameters"]["total"] > 70_000


def test_gradient_checkpointing_changes_no_number(tuning: Tuning, tmp_path: Path) -> None:
    settings = {"max_steps": 3, "lora": {"r": 4, "lora_alpha": 8}}
    train_sft(tuning(**settings), tmp_path / "without")
    train_sft(tuning(**settings, gradient_checkpointing=True), tmp_path / "with")
    for name, weight in adapter(tmp_path / "without").items():
        torch.testing.assert_close(weight, adapter(tmp_path / "with")[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("lora", [{"r": 4, "lora_alpha": 8}, None])
def test_bfloat16_trains_weights_in_float32(
    tuning: Tuning, pictures: Path, lora: Any, tmp_path: Path
) -> None:
    dev = [{"name": "printed", "parquet": str(pictures), "rows": [58, 60]}]
    config = tuning(
        precision="bfloat16", max_steps=4, lora=lora, trainable_modules=["merger"], dev=dev
    )
    summary = train_sft(config, tmp_path)
    assert "printed_cdm" in summary["dev"]
    folder = tmp_path / ("model" if lora is None else "adapter")
    weights = load_file(next(folder.glob("*.safetensors")))
    trained = {w.dtype for name, w in weights.items() if "lora" in name or "merger" in name}
    assert trained == {torch.float32}
    losses = [r["loss"] for r in read_log(tmp_path / "log.jsonl") if "loss" in r]
    assert losses[-1] < losses[0]


def test_the_answer_with_tags_is_taught_where_the_prompt_config_asks_for_it(
    tuning: Tuning, tmp_path: Path
) -> None:
    prompt_config = {"answer_format": "think_answer", "system": "Think, then answer."}
    summary = train_sft(tuning(prompt_config=prompt_config, max_steps=1), tmp_path)
    assert summary["prompt_config"]["answer_format"] == "think_answer"
    loaded = load_for_training(tuning(prompt_config=prompt_config))
    data = prepare_examples(tuning().data, loaded, max_length=4096, quiet=True)
    answer = loaded.processor.tokenizer.decode(data.table[0]["answer"])
    assert re.fullmatch(r"<think>.*</think>\s*<answer>.*</answer><\|im_end\|>", answer, re.DOTALL)


@pytest.mark.slow
def test_pictures_opened_in_another_process_are_the_same(tuning: Tuning, tmp_path: Path) -> None:
    train_sft(tuning(max_steps=3), tmp_path / "here")
    train_sft(tuning(max_steps=3, dataloader_num_workers=1), tmp_path / "there")
    for name, weight in adapter(tmp_path / "here").items():
        assert torch.equal(weight, adapter(tmp_path / "there")[name]), name
