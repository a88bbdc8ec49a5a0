"""The settings of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from texlens.train.run.settings import FineTuningConfig


class SftConfig(FineTuningConfig):
    """Supervised fine-tuning: the loss is on the answer's tokens alone.

    A sequence (prompt, visual tokens, answer) longer than `max_length` tokens is left out and
    counted; unlike TRL's `max_length` this one truncates nothing. `dataloader_num_workers` processes
    open pictures ahead of need; 0 opens them in the training loop.

    Every `eval_loss_steps` steps, and at the start and the end, the loss on all rows of the dev sets is
    computed (`sft.dev_loss`); None: never.
    """

    job: Literal["sft"] = "sft"
    max_length: int = Field(default=4096, gt=0)
    dataloader_num_workers: int = Field(default=1, ge=0)
    eval_loss_steps: int | None = Field(default=None, gt=0)
