"""A run over two processes on the CPU: shared shards, equal weights, exact after a kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from texlens.errors import InputError
from texlens.train.pretrain import data
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.run.curves import read_log

PROCESS = """
import sys
from pathlib import Path

import torch
import yaml

from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.pretrain.train import PretrainRun
from texlens.train.run.processes import (
    join_processes,
    leave_processes,
    process_number,
    wait_for_all,
)

recipe, out, last = sys.argv[1:]
config = PretrainConfig.model_validate(yaml.safe_load(Path(recipe).read_text()))
join_processes(cpu=True)
run = PretrainRun(config, Path(out))
if run.checkpoint.is_file():
    run.restore()
step = run.step
def dying(batch, done):
    if run.progress.step == int(last):
        wait_for_all()
        sys.exit(0)
    return step(batch, done)
run.step = dying
run.train()
mine = {"weights": run.network.state_dict(), "shards": run.data.order}
torch.save(mine, Path(out) / f"process-{process_number()}.pt")
leave_processes()
"""


def run(recipe: Path, out: Path, *, last: int = -1, processes: int = 2) -> str:
    """Run the recipe under torchrun, and end it before step `last`; its standard error."""
    script = recipe.parent / "process.py"
    script.write_text(PROCESS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(script), str(recipe), str(out), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.stderr


@pytest.mark.slow
def test_two_processes_keep_equal_weights_and_go_on_after_a_kill(
    tiny: Callable[..., PretrainConfig], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    config = tiny(checkpoint_minutes=1e-9)
    recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    messages = run(recipe, whole)
    states: list[dict[str, Any]] = [
        torch.load(whole / f"process-{number}.pt", weights_only=True) for number in (0, 1)
    ]
    for name, weight in states[0]["weights"].items():
        assert torch.equal(weight, states[1]["weights"][name]), (name, messages)
    shards = [{name for _, name in state["shards"]} for state in states]
    assert shards[0].isdisjoint(shards[1])
    assert len(shards[0] | shards[1]) == 3
    log = read_log(whole / "log.jsonl")
    assert [record["step"] for record in log if "loss" in record] == [2, 4, 6, 8]

    run(recipe, killed, last=5)
    assert not (killed / "run.json").exists()
    messages = run(recipe, killed)
    again = torch.load(killed / "process-1.pt", weights_only=True)
    for name, weight in states[1]["weights"].items():
        assert torch.equal(weight, again["weights"][name]), (name, messages)

    assert "has 2 processes, not 1" in run(recipe, killed, processes=1)


def test_fewer_shards_than_processes_are_refused(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_WAIT_SECONDS", 0.3)
    assert len(data._present_shards(shards, at_least=3)) == 3
    with pytest.raises(InputError, match="3 shards for 4 processes"):
        data._present_shards(shards, at_least=4)
