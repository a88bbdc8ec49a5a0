"""The settings of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from texlens.train.config import Settings
from texlens.train.settings import FineTuningConfig


class TrainingAugmentation(Settings):
    """How often pictures are augmented as a scan, a screen capture, a photo of paper or of a screen.

    The media are those of `data.pictures.augmentation`. What is left to 1 stays as it is.
    """

    scan: float = Field(default=0.0, ge=0, le=1)
    screen: float = Field(default=0.0, ge=0, le=1)
    photo: float = Field(default=0.0, ge=0, le=1)
    screen_photo: float = Field(default=0.0, ge=0, le=1)
    strength: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _shares_fit(self) -> TrainingAugmentation:
        if self.scan + self.screen + self.photo + self.screen_photo > 1:
            raise ValueError("the shares of the four media are more than 1 together")
        return self


class SftConfig(FineTuningConfig):
    """Supervised fine-tuning: the loss is on the answer's tokens alone.

    A sequence (prompt, visual tokens, answer) longer than `max_length` tokens is left out and
    counted; unlike TRL's `max_length` this one truncates nothing. `dataloader_num_workers` processes
    open pictures ahead of need; 0 opens them in the training loop.

    `cache_vision_features` computes the visual tokens of all pictures before the run and keeps them on
    disk (`data.vision_features`); it needs a frozen vision tower.

    Every `eval_loss_steps` steps, and at the start and the end, the loss on all rows of the dev sets is
    computed (`sft.dev_loss`); None: never. `augmentation` changes the training pictures in a new way each
    time they are used.
    """

    job: Literal["sft"] = "sft"
    max_length: int = Field(default=4096, gt=0)
    dataloader_num_workers: int = Field(default=1, ge=0)
    eval_loss_steps: int | None = Field(default=None, gt=0)
    augmentation: TrainingAugmentation | None = None
    cache_vision_features: bool = False

    @model_validator(mode="after")
    def _vision_is_frozen(self) -> SftConfig:
        if self.cache_vision_features and set(self.trainable_modules) != {"language_model"}:
            raise ValueError(
                "cache_vision_features: vision tower and merger must be frozen: leave them out of "
                "trainable_modules"
            )
        if self.cache_vision_features and self.augmentation is not None:
            raise ValueError("cache_vision_features: augmented pictures are never the same twice")
        return self
