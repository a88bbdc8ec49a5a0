"""How long a run of fine-tuning lasts, in steps or minutes, and the learning rate over it."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

import torch

from texlens.train.run.settings import TuningConfig

_NO_END = 1_000_000_000  # steps, of a run that ends by the clock


class Budget:
    """How much of a run's budget is used.

    `last_step` is where it ends; a run by the clock never reaches it. `minutes` counts training
    alone: the clock stands still between `pause` and `go_on`. A resumed run sets it back.
    """

    def __init__(self, config: TuningConfig, *, steps_per_epoch: int) -> None:
        self.minutes_in_all = config.minutes
        self.warmup = config.warmup
        if config.minutes is not None:
            self.last_step = _NO_END
        elif config.steps is not None:
            self.last_step = config.steps
        else:
            assert config.epochs is not None
            self.last_step = math.ceil(config.epochs * steps_per_epoch)
        self._before = 0.0
        self._since: float | None = None

    @property
    def minutes(self) -> float:
        """Minutes of training so far."""
        running = 0.0 if self._since is None else monotonic() - self._since
        return self._before + running / 60

    @minutes.setter
    def minutes(self, value: float) -> None:
        self._before = value
        self._since = None if self._since is None else monotonic()

    def go_on(self) -> None:
        """Let the clock run."""
        if self._since is None:
            self._since = monotonic()

    def pause(self) -> None:
        """Stop the clock."""
        self._before, self._since = self.minutes, None

    def part_done(self, step: int) -> float:
        """How much of the budget is used after `step` steps, 0..1."""
        if self.minutes_in_all is not None:
            return min(self.minutes / self.minutes_in_all, 1.0)
        return min(step / self.last_step, 1.0)

    def factor(self, step: int) -> float:
        """The learning rate before step `step + 1`, as a part of the recipe's.

        A linear warm-up over the first `warmup` of the run, then a cosine down to 0.
        """
        done = self.part_done(step)
        if done < self.warmup:
            return done / self.warmup
        return (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))) / 2

    def schedule(self, optimizer: Any) -> torch.optim.lr_scheduler.LambdaLR:
        """The learning rate over the budget, for an optimiser."""
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.factor(step))
