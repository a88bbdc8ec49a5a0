"""What a run does at the steps of its trainer: its clock, its log, its dev sets, its checkpoints."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl

from texlens.errors import TexlensError
from texlens.model.load import Loaded
from texlens.train.network.optimizer_state import check_optimizer, load_optimizer
from texlens.train.run.curves import log_line, read_log
from texlens.train.run.dev_evaluation import DevEvaluator, values_by_name
from texlens.train.run.processes import from_main
from texlens.train.run.run_folder import EVALUATION_SECONDS, RunFolder
from texlens.train.run.schedule import Schedule

LOG_PREFIX = "texlens/"
"""What a trainer logs under such a name goes into the run's log, without the prefix."""

# Of what Transformers and TRL log, these values go into the run's log too.
_LOGGED = (
    "loss", "grad_norm", "learning_rate", "mean_token_accuracy", "epoch", "kl", "entropy",
    "clip_ratio/region_mean", "step_time",
)  # fmt: skip
_READINGS_SHOWN = 50
_PRINT_EVERY_SECONDS = 60.0  # where there is no terminal for a progress bar


def whole_state(trainer: Any, run: RunFolder) -> dict[str, Any] | None:
    """All weights, gathered on the main process; None where every process has them anyway."""
    if not run.is_sharded:
        return None
    state: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return state


def add_callbacks(
    trainer: Any, run: RunFolder, loaded: Loaded, schedule: Schedule, dev: DevEvaluator
) -> None:
    """Let a trainer run all of this module's callbacks, and TensorBoard's if the recipe wants it."""
    if run.config.continue_optimizer:
        trainer.add_callback(_OptimizerCallback(run))
    trainer.add_callback(_ClockCallback(trainer, run, schedule))
    if dev.sets:
        trainer.add_callback(_DevCallback(trainer, run, loaded, schedule, dev))
    if run.is_main_process:
        trainer.add_callback(_LogCallback(run, schedule))
        if "tensorboard" in run.config.report_to:
            from torch.utils.tensorboard import SummaryWriter
            from transformers.integrations.integration_utils import TensorBoardCallback

            trainer.add_callback(TensorBoardCallback(SummaryWriter(str(run.out / "tensorboard"))))


class _ClockCallback(TrainerCallback):
    """Runs the clocks, stops the run at its end, and completes its checkpoints."""

    def __init__(self, trainer: Any, run: RunFolder, schedule: Schedule) -> None:
        self.trainer, self.run, self.schedule = trainer, run, schedule

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.schedule.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.clock.lap("optimizer")
        if self.schedule.progress(state.global_step) >= 1:
            control.should_training_stop = True
            # The last weights are written at once; their checkpoint could not be resumed.
            control.should_save = False

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.run.complete_checkpoint(state.global_step, self.schedule)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.schedule.pause()


class _OptimizerCallback(TrainerCallback):
    """Starts a new run with the optimiser's state of the run that made its adapter."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            assert self.run.config.adapter is not None
            path = check_optimizer(self.run.config.adapter)
            load_optimizer(path, kwargs["model"], kwargs["optimizer"])


class _EvaluationCallback(TrainerCallback):
    """Evaluates at the start, every so many steps, and at the end; the clock is stopped meanwhile."""

    def __init__(self, trainer: Any, run: RunFolder, schedule: Schedule, every: int) -> None:
        self.trainer, self.run, self.schedule, self.every = trainer, run, schedule, every
        self.last_step = -1

    def values(self, step: int) -> dict[str, float]:
        """The values at this step, by their names in the log."""
        raise NotImplementedError

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._evaluate(args, state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self._evaluate(args, state)
            if self.should_stop():
                control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step != self.last_step:
            self._evaluate(args, state)

    def show(self, step: int) -> None:
        """Send more than values to the recipe's trackers."""

    def should_stop(self) -> bool:
        """Whether the run is to end by what was found; all processes must come to the same."""
        return False

    def _evaluate(self, args: Any, state: Any) -> None:
        self.last_step = step = state.global_step
        self.schedule.pause()
        began = time.monotonic()
        values = self.values(step)
        if self.run.is_main_process:
            record = {"step": step, "minutes": round(self.schedule.minutes, 3)} | values
            self.run.append(record | {EVALUATION_SECONDS: round(time.monotonic() - began, 4)})
            # To the recipe's trackers; a control of its own, so that the step is still logged.
            reported = {f"eval_{name}": value for name, value in values.items()}
            self.trainer.callback_handler.on_log(args, state, TrainerControl(), reported)
            self.show(step)
            self.run.write_curves()
        self.trainer.clock.lap(None)


class _DevCallback(_EvaluationCallback):
    """Reads the dev sets, keeps the best weights, and stops a run that no longer improves."""

    def __init__(
        self, trainer: Any, run: RunFolder, loaded: Loaded, schedule: Schedule, dev: DevEvaluator
    ) -> None:
        super().__init__(trainer, run, schedule, run.config.eval_steps)
        self.loaded, self.dev = loaded, dev

    def values(self, step: int) -> dict[str, float]:
        """The metrics of each set."""
        results = self.dev.evaluate(self.loaded, self.run.out)
        if from_main(self.run.is_best(results)):
            state = whole_state(self.trainer, self.run)  # a part of it is on each process
            if self.run.is_main_process:
                self.run.keep_best(self.loaded, results, step, state)
        return values_by_name(results)

    def show(self, step: int) -> None:
        """Show the first readings of each set as a table in Weights & Biases."""
        if "wandb" not in self.run.config.report_to:
            return
        import wandb

        for name in self.dev.sets:
            readings = read_log(self.run.out / f"dev_{name}.jsonl")[:_READINGS_SHOWN]
            table = wandb.Table(
                columns=["id", "reference", "prediction"],
                data=[[r["id"], r["gt"], r["pred"]] for r in readings],
            )
            # On the axis that transformers' callback gives to all values.
            wandb.log({f"readings/{name}": table, "train/global_step": step})

    def should_stop(self) -> bool:
        """Whether the chosen metric has not improved for as many evaluations as the recipe allows."""
        patience = self.run.config.early_stopping_patience
        return patience is not None and from_main(self.run.evaluations_since_best()) >= patience


class DevLossCallback(_EvaluationCallback):
    """Computes the loss on the dev sets, on all processes; `losses` takes the trainer."""

    def __init__(
        self,
        trainer: Any,
        run: RunFolder,
        schedule: Schedule,
        every: int,
        losses: Callable[[Any], dict[str, float]],
    ) -> None:
        super().__init__(trainer, run, schedule, every)
        self.losses = losses

    def values(self, step: int) -> dict[str, float]:
        """The loss on each set."""
        return {name: round(value, 6) for name, value in self.losses(self.trainer).items()}


class _LogCallback(TrainerCallback):
    """Writes what the trainer logs into the run's log."""

    def __init__(self, run: RunFolder, schedule: Schedule) -> None:
        self.run, self.schedule = run, schedule
        self.last_step, self.last_minutes, self.last_print = 0, 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.last_step, self.last_minutes = state.global_step, self.schedule.minutes

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not logs or "loss" not in logs:
            return
        step, minutes = state.global_step, self.schedule.minutes
        if not math.isfinite(logs["loss"]):
            raise TexlensError(
                f"The loss up to step {step} is not a number: lower learning_rate, and start "
                "again with --force."
            )
        record = {"step": step, "minutes": round(minutes, 3)}
        record |= {name: float(f"{logs[name]:.6g}") for name in _LOGGED if name in logs}
        record |= {
            name.removeprefix(LOG_PREFIX): round(value, 6)
            for name, value in logs.items()
            if name.startswith(LOG_PREFIX)
        }
        examples = (step - self.last_step) * self.run.config.examples_per_step(self.run.processes)
        seconds = max(60 * (minutes - self.last_minutes), 1e-9)
        record["examples_per_second"] = round(examples / seconds, 2)
        self.last_step, self.last_minutes = step, minutes
        self.run.append(record)
        if not sys.stderr.isatty() and time.monotonic() - self.last_print > _PRINT_EVERY_SECONDS:
            self.last_print = time.monotonic()
            print(log_line(record), file=sys.stderr, flush=True)
