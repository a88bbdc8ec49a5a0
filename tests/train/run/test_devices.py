"""Several devices: the shipped launch files are valid, and two processes train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from texlens.errors import InputError
from texlens.train.run import processes
from texlens.train.run.curves import read_log
from texlens.train.sft.settings import SftConfig

LAUNCH = Path(str(files("texlens.train") / "launch"))


@pytest.mark.parametrize("name", sorted(path.name for path in LAUNCH.glob("*.yaml")))
def test_accelerate_takes_the_file(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(LAUNCH / name))
    assert config.num_processes == 2
    assert config.mixed_precision == "no"  # autocast is the recipe's business


def test_the_layers_that_fsdp_gathers_exist() -> None:
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

    document = yaml.safe_load((LAUNCH / "fsdp2.yaml").read_text(encoding="utf-8"))
    for name in document["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"].split(","):
        assert hasattr(modeling, name)


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(
    tuning: Callable[..., SftConfig], pictures: Path, tmp_path: Path
) -> None:
    """Equal examples a step, so equal losses and gradients; what differs is the order of sums.

    Five whole steps an epoch: processes fill up a step that is not whole each in its own way.
    """
    config = tuning(
        data=[{"parquet": str(pictures), "rows": [0, 20]}], lora={"r": 4, "lora_alpha": 8},
        max_steps=8, per_device_train_batch_size=2, gradient_accumulation_steps=2, logging_steps=1,
    )  # fmt: skip
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.document()), encoding="utf-8")
    train = ["-m", "texlens", "--debug", "train", "sft", str(recipe)]
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(LAUNCH / "ddp.yaml")]
    _run([*train, "--out", str(tmp_path / "one")])
    _run(
        [*launch, *train, "--set", "gradient_accumulation_steps=1", "--out", str(tmp_path / "two")]
    )
    one, two = (read_log(tmp_path / name / "log.jsonl") for name in ("one", "two"))
    assert len(one) == len(two) == 8
    assert one[0]["loss"] != one[-1]["loss"]
    for ours, theirs in zip(one, two, strict=True):
        assert theirs["epoch"] == ours["epoch"]  # so many examples were taken
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-3)
        assert theirs["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-2)


@pytest.mark.slow
def test_dev_pictures_are_read_with_sharded_weights(
    tuning: Callable[..., SftConfig], pictures: Path, tmp_path: Path
) -> None:
    dev = [{"name": "printed", "parquet": str(pictures), "rows": [40, 60], "sample": 5}]
    config = tuning(dev=dev, dev_metrics=["exact", "edit_tokens"])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.document()), encoding="utf-8")
    script = str(Path(__file__).with_name("sharded_reading.py"))
    _run(["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29513",
          script, str(recipe), str(tmp_path)])  # fmt: skip
    assert len((tmp_path / "dev_printed.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("seen", "environment", "quantisation", "complaint"),
    [
        (4, {}, None, "--num_processes 4 -m texlens"),
        (2, {"LOCAL_RANK": "2"}, None, "a process for GPU 2 of this machine, which has 2"),
        (2, {"LOCAL_RANK": "1", "ACCELERATE_USE_FSDP": "true"}, "nf4", "cannot be spread"),
        (1, {}, "nf4", None),
        (2, {"LOCAL_RANK": "1"}, "nf4", None),
    ],
)
def test_a_wrong_launch_is_named_before_anything_is_loaded(
    seen: int, environment: dict[str, str], quantisation: str | None, complaint: str | None,
    tuning: Callable[..., SftConfig], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    for name in ("LOCAL_RANK", "ACCELERATE_USE_FSDP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = tuning(device="auto", quantisation=quantisation)
    if complaint is None:
        processes.check_launch(config)
        return
    with pytest.raises(InputError, match=complaint):
        processes.check_launch(config)
    processes.check_launch(tuning(device="cpu"))


def _run(arguments: list[str]) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_PORT": "29511"}
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr[-2000:]
