"""What SFT and GRPO change alike in TRL's trainers, and how a run uses them.

Only public methods are overridden here. Everything else that is changed in TRL is in `train.sft.trainer`
and `train.grpo.trainer`; pyproject.toml pins TRL to the minor version they were written for.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from transformers import PrinterCallback, TrainerCallback

from texlens import runs
from texlens.model.load import Loaded
from texlens.train.network.adapters import module_of, on_cpu, precision_of
from texlens.train.network.optimizer_state import optimizer_tensors, save_optimizer
from texlens.train.network.probe import Split
from texlens.train.run.callbacks import LOG_PREFIX, add_callbacks, whole_state
from texlens.train.run.dev_evaluation import DevEvaluator
from texlens.train.run.processes import from_main
from texlens.train.run.run_folder import RunFolder
from texlens.train.run.schedule import Schedule
from texlens.train.run.stages import StageClock
from texlens.train.settings import FineTuningConfig, ModuleName

TrlConfig = TypeVar("TrlConfig")

_SPLIT = "probe.json"


class RunTrainer:
    """To be inherited from before a trainer of TRL: learning rates, a clock, and no model card."""

    schedule: Schedule | None = None  # None: TRL's own learning rate
    learning_rates: Mapping[ModuleName, float] = MappingProxyType({})  # of modules with their own

    def create_optimizer(self, *arguments: Any) -> Any:
        """Extends `Trainer.create_optimizer`: modules with a rate of their own are groups of their own."""
        optimizer: Any = super().create_optimizer(*arguments)  # type: ignore[misc]
        names = {parameter: name for name, parameter in self.model.named_parameters()}  # type: ignore[attr-defined]
        groups: list[dict[str, Any]] = []
        for group in optimizer.param_groups if self.learning_rates else ():
            by_module: dict[ModuleName, list[Any]] = {}
            for parameter in group["params"]:
                by_module.setdefault(module_of(names[parameter]), []).append(parameter)
            for module, parameters in by_module.items():
                rate = self.learning_rates.get(module, group["lr"])
                groups.append(group | {"params": parameters, "lr": rate})
        optimizer.param_groups[:] = groups or optimizer.param_groups
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Replaces `Trainer.create_scheduler`, which knows no run that is limited by minutes."""
        trainer: Any = self
        if self.schedule is None:
            return super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        if trainer.lr_scheduler is None:
            trainer.lr_scheduler = self.schedule.scheduler(optimizer or trainer.optimizer)
            trainer._created_lr_scheduler = True
        return trainer.lr_scheduler

    @cached_property
    def clock(self) -> StageClock:
        """The clock of the stages of a step."""
        trainer: Any = self
        return StageClock(trainer.args.device)

    def get_batch_samples(self, *arguments: Any) -> Any:
        """Extends `Trainer.get_batch_samples`, with which a step begins."""
        self.clock.lap("logging")
        samples: Any = super().get_batch_samples(*arguments)  # type: ignore[misc]
        self.clock.lap("data")
        return samples

    def training_step(self, *arguments: Any, **settings: Any) -> Any:
        """Extends `Trainer.training_step`, which ends with the pass backward."""
        loss: Any = super().training_step(*arguments, **settings)  # type: ignore[misc]
        self.clock.lap("backward")
        return loss

    def log(self, logs: dict[str, float], *arguments: Any) -> None:
        """Extends `Trainer.log`: adds the seconds of each stage of a step, and the memory of the GPU."""
        if "loss" in logs:
            values = self.clock.seconds_per_step() | peak_memory()
            logs |= {LOG_PREFIX + name: value for name, value in values.items()}
        super().log(logs, *arguments)  # type: ignore[misc]

    def create_model_card(self, *arguments: Any, **settings: Any) -> None:
        """Replaces TRL's model card, written at every checkpoint: a run writes its own."""


def peak_memory() -> dict[str, float]:
    """GiB of this process's GPU that PyTorch held, and that tensors took, at most since its start."""
    if not torch.cuda.is_available():
        return {}
    return {
        "gib_reserved": torch.cuda.max_memory_reserved() / 2**30,
        "gib_allocated": torch.cuda.max_memory_allocated() / 2**30,
    }


def split_of_run(
    config: FineTuningConfig, run: RunFolder, choose: Callable[[], Split]
) -> dict[str, Any]:
    """The trainer's settings for the split of a step: those of the recipe, or of a trial on a GPU.

    All processes get the choice of the first. A resumed run keeps the one that it began with, which
    `probe.json` records.
    """
    if on_cpu(config) or not config.fit_to_memory or run.is_sharded:
        names = (
            "per_device_train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing"
        )  # fmt: skip
        return {name: getattr(config, name) for name in names}
    path = run.out / _SPLIT
    kept = run.last_checkpoint() is not None and path.is_file()
    split = Split(**runs.read_json(path)) if kept else choose()
    split = from_main(split)
    if run.is_main_process:
        runs.write_json(path, dataclasses.asdict(split))
        print(
            f"{split.batch_size} x {split.accumulation} examples a step, "
            f"{'with' if split.checkpointing else 'without'} gradient checkpointing: "
            f"{split.seconds:.2f} s and {split.peak_gib:.1f} GiB a pass on the longest ones.",
            file=sys.stderr,
        )
    return {
        "per_device_train_batch_size": split.batch_size,
        "gradient_accumulation_steps": split.accumulation,
        "gradient_checkpointing": split.checkpointing,
    }


def available_optimizer(config: FineTuningConfig) -> str:
    """The recipe's optimiser, or plain AdamW where bitsandbytes is not installed."""
    if "8bit" in config.optim and importlib.util.find_spec("bitsandbytes") is None:
        print(
            f"{config.optim} needs bitsandbytes, which is not installed: plain AdamW instead.",
            file=sys.stderr,
        )
        return "adamw_torch"
    return config.optim


def trl_arguments(
    kind: type[TrlConfig], run: RunFolder, schedule: Schedule, **changes: Any
) -> TrlConfig:
    """A run's configuration for a trainer of TRL.

    Settings of the recipe that TRL has under the same name are passed on; `changes` come last.
    """
    config = run.config
    names = {field.name for field in dataclasses.fields(kind)} & set(type(config).model_fields)  # type: ignore[arg-type]
    return kind(
        **{name: getattr(config, name) for name in names - {"num_train_epochs"}}
        | {
            "output_dir": str(run.checkpoints),
            "max_steps": schedule.max_steps,
            "bf16": precision_of(config) == "bfloat16",
            "use_cpu": on_cpu(config),
            "optim": _optimizer(config),
            "data_seed": config.seed,
            "ddp_broadcast_buffers": False,  # they never change; it would wait for all in every pass
            "logging_nan_inf_filter": False,
            "report_to": [name for name in config.report_to if name != "tensorboard"],
        }
        | changes
    )


def _optimizer(config: FineTuningConfig) -> str:
    """A recipe's optimiser; on a GPU its form in one kernel instead of a dozen a weight."""
    fused = config.optim == "adamw_torch" and not on_cpu(config)
    return "adamw_torch_fused" if fused else config.optim


def run_training(
    trainer: Any,
    run: RunFolder,
    loaded: Loaded,
    schedule: Schedule,
    dev: DevEvaluator,
    *callbacks: TrainerCallback,
) -> dict[str, Any]:
    """Train from the last complete checkpoint to the end; the content of `run.json`.

    `callbacks` come after those that every run has.
    """
    trainer.schedule, trainer.learning_rates = schedule, run.config.learning_rates
    trainer.remove_callback(PrinterCallback)  # the log callback prints
    add_callbacks(trainer, run, loaded, schedule, dev)
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=run.resume(schedule))
    step = trainer.state.global_step
    state = whole_state(trainer, run)
    if run.config.save_optimizer:
        tensors = optimizer_tensors(trainer.model, trainer.optimizer)
        if run.is_main_process:
            save_optimizer(tensors, run.out, weights=run.weights.name, step=step)
    return run.finish(loaded, step=step, minutes=schedule.minutes, state=state)
