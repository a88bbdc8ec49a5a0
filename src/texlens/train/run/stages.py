"""Where the time of a step goes, measured without making the step wait.

A GPU works behind the CPU. So its time is taken from events in its own queue, which are read when a
log line is written; a stage in which the GPU waits for the CPU counts with that waiting.
"""

from __future__ import annotations

import time
from collections import defaultdict

import torch

STAGES = (
    "data", "sampling", "log_probs", "rewards", "forward", "backward", "optimizer", "logging",
)  # fmt: skip
"""The stages in their order; those between `data` and `forward` are GRPO's."""

PREFIX = "seconds_"
"""Before the name of a stage in a run's log."""

Mark = float | torch.cuda.Event


class StageClock:
    """The seconds of each stage: all time from one `lap` to the next belongs to the later one's stage."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._laps: list[tuple[str | None, Mark]] = []

    def lap(self, stage: str | None) -> None:
        """What was done since the last lap was this stage; None: it belongs to no step."""
        mark: Mark = time.perf_counter()
        if self._on_gpu:
            mark = torch.cuda.Event(enable_timing=True)
            mark.record()
        self._laps.append((stage, mark))

    def seconds_per_step(self) -> dict[str, float]:
        """The mean seconds of each stage over the steps since the last call, by names of the log."""
        if not self._laps:
            return {}
        if isinstance(last := self._laps[-1][1], torch.cuda.Event):
            last.synchronize()
        totals: defaultdict[str, float] = defaultdict(float)
        steps = 0
        for (_, before), (stage, after) in zip(self._laps, self._laps[1:], strict=False):
            if stage is not None:
                totals[stage] += _between(before, after)
            steps += stage == "optimizer"
        del self._laps[:-1]
        return {
            PREFIX + stage: totals[stage] / steps for stage in STAGES if steps and stage in totals
        }


def _between(before: Mark, after: Mark) -> float:
    """The seconds between two marks."""
    if isinstance(before, float) or isinstance(after, float):
        assert isinstance(before, float)
        assert isinstance(after, float)
        return after - before
    return float(before.elapsed_time(after)) / 1000
