"""The seconds of a step's stages add up, and what belongs to no step is left out."""

from __future__ import annotations

import pytest
import torch

from texlens.train.run import stages
from texlens.train.run.curves import log_line
from texlens.train.run.stages import StageClock


def test_all_time_of_a_step_belongs_to_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(stages.time, "perf_counter", lambda: now)
    clock = StageClock(torch.device("cpu"))
    assert clock.seconds_per_step() == {}

    def step(*laps: tuple[str | None, float]) -> None:
        nonlocal now
        for stage, seconds in laps:
            now += seconds
            clock.lap(stage)

    step(("logging", 9.0))  # what was before the first step has no begin
    step(("data", 1.0), ("forward", 2.0), ("backward", 4.0))
    step(("forward", 2.0), ("backward", 4.0), ("optimizer", 1.0), (None, 100.0))
    step(("logging", 2.0), ("data", 3.0), ("forward", 4.0), ("backward", 8.0), ("optimizer", 3.0))
    assert clock.seconds_per_step() == {
        "seconds_data": 2.0,
        "seconds_forward": 4.0,
        "seconds_backward": 8.0,
        "seconds_optimizer": 2.0,
        "seconds_logging": 1.0,
    }
    step(("logging", 6.0), ("data", 0.0), ("forward", 1.0), ("backward", 1.0), ("optimizer", 0.0))
    found = clock.seconds_per_step()
    assert found["seconds_logging"] == 6.0
    assert log_line({"step": 3, **found}) == (
        "step 3  data 0%  forward 12%  backward 12%  optimizer 0%  logging 75%"
    )
