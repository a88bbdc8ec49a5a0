"""The settings of rejection-sampling fine-tuning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from texlens.train.config import Settings
from texlens.train.rewards.functions import NAMES
from texlens.train.sft.settings import SftConfig


class Answers(Settings):
    """Which of its own answers the model is trained on.

    The start answers each prompt `num_generations` times. The answer with the highest total of
    `rewards` (weights, by the names of `texlens.train.rewards.functions`) is kept if its total is at
    least `min_reward`.

    At most `max_prompts` prompts are answered (None: all), `batch_size` at a time, in an order that
    the seed decides, and none any more once `minutes` have passed. In a run that is limited by
    minutes this time counts, and supervised fine-tuning has the rest.
    """

    rewards: dict[str, float] = Field(min_length=1)
    min_reward: float
    num_generations: int = Field(default=16, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_prompt_length: int = Field(default=900, gt=0)
    max_prompts: int | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=64, gt=0)

    @model_validator(mode="after")
    def _rewards_are_known(self) -> Answers:
        for name in self.rewards:
            if name not in NAMES:
                raise ValueError(f"rewards: '{name}' is no reward: choose from {', '.join(NAMES)}")
        return self


class RftConfig(SftConfig):
    """Rejection-sampling fine-tuning (arXiv:2308.01825): best of N answers, then supervised fine-tuning.

    `answers` says what is sampled and kept. All other settings are those of supervised fine-tuning on
    the answers that were kept. `data` are the prompts; their LaTeX is used by the rewards alone.
    """

    job: Literal["rft"] = "rft"  # type: ignore[assignment]
    answers: Answers

    @model_validator(mode="after")
    def _sampling_leaves_time(self) -> RftConfig:
        if any(file.mixing_ratio is not None for file in self.data):
            raise ValueError("data: RFT takes every file whole, without mixing_ratio")
        of_all = self.answers.minutes
        if self.minutes is not None and (of_all is None or of_all >= self.minutes):
            raise ValueError(
                f"answers.minutes: a run of {self.minutes:g} minutes needs a limit below that"
            )
        return self

    def sft(self, **changes: Any) -> SftConfig:
        """The settings of the supervised fine-tuning, with changes."""
        document = self.model_dump(exclude={"answers"}) | {"job": "sft"}
        return SftConfig.model_validate(document | changes)
