"""How long a fine-tuning run lasts, in steps or minutes, and its learning rate over that time."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

import torch

from texlens.train.settings import FineTuningConfig

_NO_LIMIT = 1_000_000_000  # steps, of a run that is limited by minutes


class Schedule:
    """The length of a run and how much of it is done.

    `max_steps` is its last step; a run that is limited by minutes never reaches it. `minutes` counts
    training only: the clock is stopped between `pause` and `start`. A resumed run sets `minutes`
    to what its checkpoint recorded.
    """

    def __init__(self, config: FineTuningConfig, *, steps_per_epoch: int) -> None:
        self.limit_minutes = config.minutes
        self.warmup_ratio, self.decay = config.warmup_ratio, config.lr_scheduler_type
        self.schedule_start, self.schedule_steps = config.schedule_start, config.schedule_steps
        if config.num_train_epochs is not None:
            self.max_steps = math.ceil(config.num_train_epochs * steps_per_epoch)
        else:
            self.max_steps = config.max_steps or _NO_LIMIT
        self._counted = 0.0
        self._since: float | None = None

    @property
    def minutes(self) -> float:
        """Minutes of training so far."""
        running = 0.0 if self._since is None else monotonic() - self._since
        return self._counted + running / 60

    @minutes.setter
    def minutes(self, value: float) -> None:
        self._counted = value
        self._since = None if self._since is None else monotonic()

    def start(self) -> None:
        """Start the clock, if it is stopped."""
        if self._since is None:
            self._since = monotonic()

    def pause(self) -> None:
        """Stop the clock."""
        self._counted, self._since = self.minutes, None

    def progress(self, step: int) -> float:
        """The part of the run that is done after `step` steps, 0..1."""
        if self.limit_minutes is not None:
            return min(self.minutes / self.limit_minutes, 1.0)
        return min(step / self.max_steps, 1.0)

    def learning_rate_factor(self, step: int) -> float:
        """The learning rate before step `step + 1`, relative to the recipe's.

        A linear warm-up over the first `warmup_ratio` of the schedule, then the decay to 0.
        """
        done, warmup = self.progress(step), self.warmup_ratio
        if self.schedule_steps is not None:
            done = min((self.schedule_start + step) / self.schedule_steps, 1.0)
        if done < warmup:
            return done / warmup
        decayed = (done - warmup) / (1 - warmup)
        match self.decay:
            case "cosine":
                return (1 + math.cos(math.pi * decayed)) / 2
            case "linear":
                return 1 - decayed
            case "constant":
                return 1.0

    def scheduler(self, optimizer: Any) -> torch.optim.lr_scheduler.LambdaLR:
        """PyTorch's learning rate scheduler for an optimiser."""
        return torch.optim.lr_scheduler.LambdaLR(optimizer, self.learning_rate_factor)
