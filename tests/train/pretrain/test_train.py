"""A run from scratch: exact after a kill, sound after bad gradients, its answers without PAD."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.printed import PrintedShards
from texlens.data.pictures.shards import write_shards
from texlens.errors import InputError, TexlensError
from texlens.model.load import load_model
from texlens.train.pretrain import data as data_module
from texlens.train.pretrain import hard_examples as hard_examples_module
from texlens.train.pretrain.data import TrainingPictures
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.pretrain.train import PretrainRun, pretrain
from texlens.train.run.curves import read_log

Tiny = Callable[..., PretrainConfig]


def weights(folder: Path, name: str = "network") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)[name]
    return state


class Killed(Exception):
    """Stands for the end of the process."""


def kill_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = PretrainRun.step

    def dying(run: PretrainRun, *arguments: Any) -> torch.Tensor:
        if run.progress.step == steps:
            raise Killed
        return step(run, *arguments)

    monkeypatch.setattr(PretrainRun, "step", dying)


def test_a_run_leaves_a_model_that_loads_and_its_curves(tiny: Tiny, tmp_path: Path) -> None:
    summary = pretrain(tiny(), tmp_path)
    assert summary["step"] == 8
    log = read_log(tmp_path / "log.jsonl")
    assert [record["step"] for record in log] == [2, 4, 6, 8]
    assert {record["skipped"] for record in log} == {0}
    assert (tmp_path / "curves.csv").read_text().count("\n") == 5
    assert json.loads((tmp_path / "run.json").read_text())["config"]["max_steps"] == 8
    loaded = load_model(tmp_path / "model", device="cpu")
    assert loaded.prompt_config == tiny().prompt_config
    trained = weights(tmp_path, "average")["module.model.visual.merger.mlp.0.weight"]
    assert not torch.equal(trained, weights(tmp_path)["model.visual.merger.mlp.0.weight"])
    kept = dict(loaded.model.named_parameters())["model.visual.merger.mlp.0.weight"]
    torch.testing.assert_close(kept, trained, rtol=1e-3, atol=1e-6)  # in half precision
    assert not any("ctc" in name for name in loaded.model.state_dict())


@pytest.mark.parametrize("hard_examples", [0.0, 1.0])
def test_a_killed_run_goes_on_to_the_same_weights(
    hard_examples: float,
    tiny: Tiny,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hard_examples_module, "_STEPS_LATER", 2)
    config = tiny(
        dev=[{"shards": str(shards), "rows": [0, 3]}],
        checkpoint_minutes=1e-9,
        hard_examples=hard_examples,
    )
    pretrain(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        kill_after(5, patch)
        with pytest.raises(Killed):
            pretrain(config, tmp_path / "killed")
    assert not (tmp_path / "killed" / "run.json").exists()
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "loss": 9}\n{"step"')  # after the last checkpoint, and half a line
    pretrain(config, tmp_path / "killed")
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    for name, weight in whole.items():
        assert torch.equal(weight, killed[name]), name
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "killed")]
    losses = [[r["loss"] for r in log if "loss" in r] for log in logs]
    # The window of the log that the kill fell in holds its steps after the resume only.
    assert len(losses[0]) == len(losses[1]) == 4
    assert losses[0][:2] + losses[0][3:] == losses[1][:2] + losses[1][3:]


def test_other_settings_do_not_go_on_and_a_larger_budget_does(tiny: Tiny, tmp_path: Path) -> None:
    pretrain(tiny(max_steps=2), tmp_path)
    with pytest.raises(InputError, match=r"started with another learning_rate: .*--force"):
        pretrain(tiny(learning_rate=0.5), tmp_path)
    assert pretrain(tiny(max_steps=4), tmp_path)["step"] == 4
    summary = pretrain(tiny(learning_rate=1e-4, max_steps=2), tmp_path, overwrite=True)
    assert summary["step"] == 2
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [2]


def bad_losses(steps: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the loss of these steps no number."""
    honest = PretrainRun._loss_and_seen

    def loss_and_seen(run: PretrainRun, *arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        loss, seen = honest(run, *arguments)
        return (loss * torch.nan if run.progress.step in steps else loss), seen

    monkeypatch.setattr(PretrainRun, "_loss_and_seen", loss_and_seen)


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_losses({1, 4}, monkeypatch)
    pretrain(tiny(), tmp_path)
    log = read_log(tmp_path / "log.jsonl")
    assert [record["skipped"] for record in log] == [1, 0, 1, 0]
    named = [record.get("skipped_batches", "") for record in log]
    assert [" of " in batches for batches in named] == [True, False, True, False]
    assert all(np.isfinite(record["loss"]) for record in log)
    assert all(weight.isfinite().all() for weight in weights(tmp_path).values())


def test_many_bad_gradients_in_a_row_end_the_run_with_one_sentence(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_losses({4, 5}, monkeypatch)
    with pytest.raises(TexlensError, match=r"last 2 gradients up to step 6 .*learning_rate"):
        pretrain(tiny(), tmp_path)


def test_shards_that_come_after_a_dev_pass_have_answers_without_padding(
    tiny: Tiny, shards: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    first, *others = sorted(shards.glob("*.npz"))
    shutil.copy(first, folder)
    config = tiny(data=[{"shards": str(folder)}], dev=[{"shards": str(folder), "rows": [0, 6]}])
    run = PretrainRun(config, tmp_path / "run")
    run.data.take_present_shards()
    run.evaluate()
    assert run.data.tokenizer.backend_tokenizer.padding is not None  # the dev pass padded
    for path in others:
        shutil.copy(path, folder)
    run.data.take_present_shards()
    assert len(run.data.batches) > 90
    run.data.batches.regroup(100, len(run.data.batches))
    assert run.pad not in run.data.batches.tokens
    lengths = run.data.batches.lengths
    assert len(set(lengths[-40:].tolist())) > 5


def test_shards_are_added_in_order_as_they_appear_and_restored_in_that_order(
    tiny: Tiny, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "_LOOK_SECONDS", 0.0)
    folder = tmp_path / "shards"
    folder.mkdir()
    first, second, third = sorted(shards.glob("*.npz"))
    shutil.copy(second, folder)
    config = tiny(data=[{"shards": str(folder)}])
    data = TrainingPictures(config, tmp_path / "run", torch.device("cpu"))
    data.take_present_shards()
    for path in (third, first):
        shutil.copy(path, folder)
    while len(data.order) < 3:
        data.take_new_shards()
    assert data.order == [(0, path.name) for path in (second, first, third)]
    restored = TrainingPictures(config, tmp_path / "run", torch.device("cpu"))
    restored.restore(data.order)
    assert restored.order == data.order
    assert restored.pool.used == data.pool.used
    assert torch.equal(restored.pool.pixels[: data.pool.used], data.pool.pixels[: data.pool.used])
    restored.take_present_shards()
    assert len(restored.order) == 3


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"shards": "absent"}, "no folder 'absent'"),
        ({"parquet": "absent.parquet"}, "absent.parquet"),
    ],
)
def test_absent_data_is_one_sentence(
    tiny: Tiny, tmp_path: Path, source: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        pretrain(tiny(data=[source]), tmp_path / "run")


@pytest.mark.slow
def test_a_tiny_model_learns_to_read_three_formulas(tiny: Tiny, tmp_path: Path) -> None:
    """The whole chain: rendered, augmented, learnt, and read by generation."""
    formulas = tmp_path / "list.txt"
    formulas.write_text("\n".join(["x ^ { 2 }", r"\frac { a } { b }", "p - q"]))
    source = PrintedShards((FormulaSource("list", path=formulas),), pictures_per_shard=60)
    assert len(list(write_shards(source, tmp_path / "shards", 1))) == 1
    rendered = {"shards": str(tmp_path / "shards")}
    config = tiny(
        data=[rendered], dev=[rendered | {"rows": [0, 30]}], max_steps=800, learning_rate=3e-3,
        logging_steps=50,
    )  # fmt: skip
    values = pretrain(config, tmp_path / "run")["dev"]
    assert values["shards_exact"] > 0.9, values


def test_a_run_can_start_from_a_model(tiny: Tiny, tmp_path: Path) -> None:
    pretrain(tiny(), tmp_path / "first")
    model = tmp_path / "first" / "model"
    run = PretrainRun(tiny(start=model), tmp_path / "second")
    begun, saved = run.network.state_dict(), load_model(model, device="cpu").model.state_dict()
    for name in ("lm_head.weight", "model.visual.merger.mlp.0.weight"):
        torch.testing.assert_close(begun[name], saved[name], rtol=0, atol=0)
    assert run.data.tokenizer.get_vocab() == run.processor.tokenizer.get_vocab()
    with pytest.raises(InputError, match="cannot start from"):
        PretrainRun(tiny(start=tmp_path), tmp_path / "third")
