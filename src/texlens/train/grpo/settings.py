"""The settings of GRPO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from texlens.errors import InputError
from texlens.train.rewards.functions import NAMES
from texlens.train.run.config import Settings
from texlens.train.run.settings import TuningConfig

LossType = Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo"]


class Prefilter(Settings):
    """Which prompts are worth training on, by what the start model makes of them.

    It answers each of `prompts` (None: all) `answers` times, at the temperature of the run. Prompts
    that are always right or always wrong are left out: a group of equal rewards teaches nothing.
    """

    answers: int = Field(default=8, gt=1)
    prompts: int | None = Field(default=None, gt=0)
    batch: int = Field(default=16, gt=0)  # prompts answered at a time


class Vllm(Settings):
    """Answers drawn by vLLM, through TRL: by a server of its own, or on the training devices."""

    mode: Literal["server", "colocate"] = "server"
    server: str = "http://localhost:8000"
    memory: float = Field(default=0.3, gt=0, lt=1)  # colocate: its part of a device's memory


class GrpoConfig(TuningConfig):
    """Group relative policy optimisation (Shao et al. 2024) of a Qwen2.5-VL.

    A step takes `batch` answers a process, `accumulation` times; that makes whole groups of
    `num_generations` answers to one prompt. `temperature`, `beta` (weight of the KL divergence from
    the start), `epsilon`, `num_iterations`, `loss_type` and `scale_rewards` are TRL's.

    `rewards` are weights, by the names of `texlens.train.rewards.functions`; a weight of 0 is only logged.

    A prompt, its visual tokens included, has at most `max_prompt_tokens`: pictures are bounded so
    that they fit, and what does not fit is left out and counted. So are references longer than an
    answer may be, which is the prompt configuration's `max_new_tokens`. `mask_truncated_completions` takes
    answers that were cut off out of the loss.

    `adapter_use`: an `adapter` is trained on ("continue"), or merged into the base, which is
    written beside the run, and a new one is trained ("merge").

    A page of completions is written every `page_every` steps.
    """

    job: Literal["grpo"] = "grpo"
    adapter_use: Literal["continue", "merge"] = "continue"
    rewards: dict[str, float] = Field(min_length=1)
    num_generations: int = Field(default=6, gt=1)
    temperature: float = Field(default=1.0, gt=0)
    max_prompt_tokens: int = Field(default=600, gt=0)
    mask_truncated_completions: bool = False
    beta: float = Field(default=0.0, ge=0)
    epsilon: float = Field(default=0.2, gt=0)
    num_iterations: int = Field(default=1, gt=0)
    loss_type: LossType = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    prefilter: Prefilter | None = None
    vllm: Vllm | None = None
    page_every: int = Field(default=50, gt=0)

    @model_validator(mode="after")
    def _rewards_are_known(self) -> GrpoConfig:
        for name in self.rewards:
            if name not in NAMES:
                raise ValueError(f"rewards: '{name}' is no reward: choose from {', '.join(NAMES)}")
        if not any(self.rewards.values()):
            raise ValueError("rewards: all weights are 0")
        if self.adapter_use == "merge" and (self.adapter is None or self.lora is None):
            raise ValueError("adapter_use: merge needs an adapter to merge, and lora for a new one")
        if any(file.share is not None for file in self.data):
            raise ValueError("data: GRPO takes every file whole: it has no share")
        return self

    def groups_per_step(self, processes: int = 1) -> int:
        """How many prompts a step answers. Raises InputError when the last group is not whole."""
        answers = self.examples_per_step(processes)
        if answers % self.num_generations:
            raise InputError(
                f"A step makes {self.batch} x {self.accumulation} x {processes} = {answers} answers "
                f"(batch x accumulation x processes), which is no multiple of num_generations, "
                f"{self.num_generations}: change one of them."
            )
        return answers // self.num_generations
