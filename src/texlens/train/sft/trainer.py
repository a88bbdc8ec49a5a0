"""TRL's SFTTrainer with the order of examples of a run. Written for TRL 1.16."""

from __future__ import annotations

from typing import Any

from trl.trainer.sft_trainer import SFTTrainer

from texlens.train.run.trl_trainers import RunTrainer
from texlens.train.sft.batches import LengthGroupedSampler


class FormulaSftTrainer(RunTrainer, SFTTrainer):
    """TRL's trainer on examples in the order of `sampler`."""

    def __init__(self, *, sampler: LengthGroupedSampler, **kwargs: Any) -> None:
        self.sampler = sampler
        super().__init__(**kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        """Replaces `Trainer._get_train_sampler`, whose samplers know no mixing ratios."""
        return self.sampler
