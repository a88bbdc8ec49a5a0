"""The settings of GRPO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from texlens.errors import InputError
from texlens.train.config import Settings
from texlens.train.rewards.functions import NAMES
from texlens.train.settings import FineTuningConfig

MERGED_BASE = "base"
"""The folder in a run of the base with the merged adapter, with `adapter_use: merge`."""

LossType = Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo"]


class Prefilter(Settings):
    """Which prompts are worth training on, by the answers of the start model.

    It answers each of `max_prompts` prompts (None: all) `num_generations` times, at the temperature
    of the run. Prompts that are always right or always wrong are left out: a group of equal rewards
    has no advantages to learn from.
    """

    num_generations: int = Field(default=8, gt=1)
    max_prompts: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=16, gt=0)  # prompts answered at a time


class GrpoConfig(FineTuningConfig):
    """Group relative policy optimisation (arXiv:2402.03300) of a Qwen2.5-VL.

    One step takes `per_device_train_batch_size` x `gradient_accumulation_steps` answers on each
    process. They must make whole groups of `num_generations` answers to one prompt. Settings that
    TRL's `GRPOConfig` has too mean what they mean there; the limit of an answer is the
    `max_new_tokens` of the prompt configuration.

    `rewards` are weights, by the names of `texlens.train.rewards.functions`; a reward of weight 0
    is only logged.

    Pictures without LaTeX are used where no reward that counts needs a reference (`picture`, `finished`,
    `overlong`, `no_loop`, tags); else they are left out and counted.

    A prompt, its visual tokens included, has at most `max_prompt_length` tokens: pictures are
    scaled down to fit, and what still does not fit is left out and counted. So are references
    longer than an answer may be.

    `adapter_use`: an `adapter` is trained on ("continue"), or merged into the base, which is
    written into the run's folder, and a new one is trained ("merge").

    `resampling_rounds` is DAPO's dynamic sampling (arXiv:2503.14476): a prompt whose answers all have
    the same total teaches nothing; it is dropped, and another one is answered in its place, so many
    times a step. Then each process must have whole groups.

    A page of completions is written every `completion_page_steps` steps.

    A run with dev sets ends with its best weights when at two evaluations in a row the metric that
    chooses them is worse than its best by more than `collapse_drop`, while the reward has risen:
    the model then learns the faults of the reward. None: it goes on.
    """

    job: Literal["grpo"] = "grpo"
    adapter_use: Literal["continue", "merge"] = "continue"
    rewards: dict[str, float] = Field(min_length=1)
    num_generations: int = Field(default=6, gt=1)
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_prompt_length: int = Field(default=600, gt=0)
    mask_truncated_completions: bool = False
    resampling_rounds: int = Field(default=0, ge=0)
    beta: float = Field(default=0.0, ge=0)
    epsilon: float = Field(default=0.2, gt=0)
    epsilon_high: float | None = Field(default=None, gt=0)  # DAPO's clip-higher
    num_iterations: int = Field(default=1, gt=0)
    loss_type: LossType = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    prefilter: Prefilter | None = None
    use_vllm: bool = False
    vllm_mode: Literal["server", "colocate"] = "server"
    vllm_server_base_url: str = "http://localhost:8000"
    vllm_gpu_memory_utilization: float = Field(default=0.3, gt=0, lt=1)
    completion_page_steps: int = Field(default=50, gt=0)
    collapse_drop: float | None = Field(default=0.05, gt=0)

    @model_validator(mode="after")
    def _rewards_are_known(self) -> GrpoConfig:
        for name in self.rewards:
            if name not in NAMES:
                raise ValueError(f"rewards: '{name}' is no reward: choose from {', '.join(NAMES)}")
        if not any(self.rewards.values()):
            raise ValueError("rewards: all weights are 0")
        if self.adapter_use == "merge" and (self.adapter is None or self.lora is None):
            raise ValueError("adapter_use: merge needs an adapter to merge, and lora for a new one")
        if self.resampling_rounds and self.use_vllm:
            raise ValueError("resampling_rounds: not with use_vllm")
        if any(file.mixing_ratio is not None for file in self.data):
            raise ValueError("data: GRPO takes every file whole, without mixing_ratio")
        return self

    def groups_per_step(self, processes: int = 1) -> int:
        """The number of prompts of a step. Raises InputError when the last group is not whole."""
        answers = self.examples_per_step(processes)
        if answers % self.num_generations:
            raise InputError(
                f"per_device_train_batch_size {self.per_device_train_batch_size} x "
                f"gradient_accumulation_steps {self.gradient_accumulation_steps} x {processes} "
                f"processes = {answers} answers a step is no multiple of num_generations, "
                f"{self.num_generations}: change one of them."
            )
        if self.resampling_rounds and self.examples_per_step() % self.num_generations:
            raise InputError(
                f"resampling_rounds needs whole groups on each process: "
                f"{self.examples_per_step()} answers are no multiple of num_generations, "
                f"{self.num_generations}."
            )
        return answers // self.num_generations
