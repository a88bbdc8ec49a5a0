"""What a run changes in a trainer of TRL, whichever it is."""

from __future__ import annotations

from typing import Any

from transformers import PrinterCallback

from texlens.train.run.budget import Budget
from texlens.train.run.run_folder import TuningRun


class RunTrainer:
    """To be inherited from before a trainer: the run's schedule, and checkpoints that are whole."""

    def __init__(self, run: TuningRun, budget: Budget, **kwargs: Any) -> None:
        self.run, self.budget = run, budget
        super().__init__(**kwargs)
        self.remove_callback(PrinterCallback)  # type: ignore[attr-defined]  # the run's log speaks

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Warm-up and cosine over the run's budget, be it steps or minutes."""
        trainer: Any = self
        if trainer.lr_scheduler is None:
            trainer.lr_scheduler = self.budget.schedule(optimizer or trainer.optimizer)
            trainer._created_lr_scheduler = True
        return trainer.lr_scheduler

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        self.run.seal_checkpoint(self.state.global_step, self.budget)  # type: ignore[attr-defined]

    def create_model_card(self, *arguments: Any, **settings: Any) -> None:
        """Nothing: a run writes its own card."""
