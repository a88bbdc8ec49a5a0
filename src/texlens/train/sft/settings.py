"""The settings of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from texlens.train.run.settings import TuningConfig


class SftConfig(TuningConfig):
    """Supervised fine-tuning: the loss is on the answer's tokens alone.

    A sequence (prompt, visual tokens, answer) longer than `cutoff` tokens is left out and counted,
    never cut. `workers` processes open pictures ahead of need; 0 opens them in the training loop.
    """

    job: Literal["sft"] = "sft"
    cutoff: int = Field(default=4096, gt=0)
    workers: int = Field(default=1, ge=0)
