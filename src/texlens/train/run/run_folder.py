"""The folder of a fine-tuning run: checkpoints that are whole, the log, the best weights, the end.

Supervised fine-tuning and GRPO share it. A checkpoint counts when its seal is written, which is
last; a run counts as finished when it has its `run.json`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from transformers import TrainerCallback

from texlens import runs
from texlens.errors import InputError, TexlensError
from texlens.model.load import Loaded
from texlens.train.run.adapters import on_cpu, precision_of
from texlens.train.run.budget import Budget
from texlens.train.run.curves import append_log, read_log, write_curves
from texlens.train.run.dev_evaluation import DevReader, Readings, goodness_of, record_of
from texlens.train.run.model_card import write_card
from texlens.train.run.settings import TuningConfig

MARKER = "run.json"  # written last: a folder that has it is finished
CHECKPOINTS = "checkpoints"
_CONFIG, _LOG, _DATA = "config.yaml", "log.jsonl", "dataset.json"
_SEAL = "complete.json"
_SHOW_EVERY_SECONDS = 60.0  # where there is no terminal for a progress bar
# What a trainer logs under a name that begins so goes into the run's log without the beginning.
OWN = "own/"
_LOGGED = {  # theirs to ours
    "loss": "loss",
    "grad_norm": "gradient",
    "learning_rate": "learning_rate",
    "mean_token_accuracy": "token_accuracy",
    "epoch": "epoch",
}
# Settings that a run may go on with changed; all others decide what it is.
_FREE = ("description", "log_every", "dev_every", "checkpoint_every", "workers", "report_to")
_VERSIONS = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes")


class TuningRun:
    """One run of fine-tuning and its folder.

    Under a launcher of several processes all have one, and the first alone writes.

    Raises InputError when the run in `out` was begun with other settings.
    """

    def __init__(self, config: TuningConfig, out: Path, *, overwrite: bool = False) -> None:
        self.config, self.out, self.overwrite = config, out, overwrite
        self.processes = int(os.environ.get("WORLD_SIZE", "1"))
        self.writes = int(os.environ.get("RANK", "0")) == 0
        self.parameters: dict[str, int] = {}
        self._writer: Any = None  # TensorBoard's
        if config.minutes is not None and self.processes > 1:
            raise InputError(
                "A budget of minutes is for one process, since the clocks of several would part: "
                "give steps or epochs."
            )
        self._compare()
        for tracker in config.report_to:
            if importlib.util.find_spec(tracker) is None:
                raise InputError(
                    f"The tracker '{tracker}' of report_to is not installed: install the Python "
                    f"package '{tracker}', or leave it out with --set 'report_to=[]'."
                )

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds only a part of the weights (FSDP, DeepSpeed)."""
        flags = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
        return any(os.environ.get(flag, "false") == "true" for flag in flags)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.out / CHECKPOINTS

    @property
    def weights(self) -> Path:
        """Where the last weights go."""
        return self.out / ("model" if self.config.lora is None else "adapter")

    # ---- starting and going on ------------------------------------------------------------------

    def _throw_away(self) -> None:
        for name in (CHECKPOINTS, "adapter", "model", "best", "tensorboard"):
            shutil.rmtree(self.out / name, ignore_errors=True)
        for name in (MARKER, _CONFIG, _LOG, _DATA):
            (self.out / name).unlink(missing_ok=True)

    def _compare(self) -> None:
        path = self.out / _CONFIG
        if self.overwrite or self.checkpoint() is None or not path.is_file():
            return
        begun = yaml.safe_load(path.read_text(encoding="utf-8"))
        now = self.config.document()
        other = [key for key in now if now[key] != begun.get(key) and key not in _FREE]
        if other:
            raise InputError(
                f"The run in '{self.out}' was begun with another {', '.join(other)}: give the same "
                "settings to go on, another --out, or --force to begin anew."
            )

    def write_start(self, data: dict[str, Any], parameters: dict[str, int]) -> None:
        """Write the resolved settings and the record of the data; overwrite, throw away what was."""
        self.parameters = parameters
        if self.writes:
            if self.overwrite:
                self._throw_away()
            document = yaml.safe_dump(self.config.document(), sort_keys=False, allow_unicode=True)
            runs.write_text(self.out / _CONFIG, document)
            runs.write_json(self.out / _DATA, data)

    def checkpoint(self) -> str | None:
        """The last checkpoint that is whole; None when there is none to go on from."""
        if self.overwrite:
            return None
        whole = [path.parent for path in self.checkpoints.glob(f"checkpoint-*/{_SEAL}")]
        return str(max(whole, key=_step_of)) if whole else None

    def resume(self, budget: Budget) -> str | None:
        """The checkpoint to go on from; the clock is set back to it, and later log lines go."""
        found = self.checkpoint()
        step = 0
        if found is not None:
            seal = json.loads((Path(found) / _SEAL).read_text(encoding="utf-8"))
            step, budget.minutes = seal["step"], seal["minutes"]
        if self.writes:
            log = [record for record in self.log() if found is not None and record["step"] <= step]
            runs.write_json_lines(self.out / _LOG, log)
        return found

    def seal_checkpoint(self, step: int, budget: Budget) -> None:
        """Mark the checkpoint of this step as whole, and remove those before it."""
        if not self.writes:
            return
        seal = {"step": step, "minutes": budget.minutes}
        runs.write_json(self.checkpoints / f"checkpoint-{step}" / _SEAL, seal)
        for path in self.checkpoints.glob("checkpoint-*"):
            if _step_of(path) != step:
                shutil.rmtree(path, ignore_errors=True)

    # ---- while it runs --------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return read_log(self.out / _LOG)

    def callbacks(self, loaded: Loaded, budget: Budget, dev: DevReader) -> list[TrainerCallback]:
        """What the trainer is to do at each step, beside training."""
        found: list[TrainerCallback] = [_Clock(budget), _Dev(self, loaded, budget, dev)]
        if self.writes and self.is_sharded and dev.sets:
            print(
                "The dev sets are not read while the weights are spread over processes: "
                "`texlens evaluate` reads the finished weights.",
                file=sys.stderr,
            )
        if self.writes:
            found.append(_Log(self, budget))
            if "tensorboard" in self.config.report_to:
                found.append(self._tensorboard())
        return found

    def _tensorboard(self) -> TrainerCallback:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations.integration_utils import TensorBoardCallback

        self._writer = SummaryWriter(str(self.out / "tensorboard"))
        return TensorBoardCallback(self._writer)

    def report(self, values: dict[str, float], step: int) -> None:
        """Send the values of the dev sets to the trackers of the recipe."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"dev/{name}", value, step)
        if "wandb" in self.config.report_to:
            importlib.import_module("wandb").log(
                {f"dev/{name}": value for name, value in values.items()}
            )

    def trl_settings(self, budget: Budget) -> dict[str, Any]:
        """What both of TRL's trainers are told, in the terms of its configurations."""
        config = self.config
        return {
            "output_dir": str(self.checkpoints),
            "max_steps": budget.last_step,
            "per_device_train_batch_size": config.batch,
            "gradient_accumulation_steps": config.accumulation,
            "learning_rate": config.learning_rate,
            "weight_decay": config.weight_decay,
            "max_grad_norm": config.gradient_norm,
            "optim": config.optimizer,
            "bf16": precision_of(config) == "bfloat16",
            "use_cpu": on_cpu(config),
            "gradient_checkpointing": config.gradient_checkpointing,
            "seed": config.seed,
            "data_seed": config.seed,
            "logging_steps": config.log_every,
            "logging_nan_inf_filter": False,
            "report_to": self.reporters(),
            "save_steps": config.checkpoint_every,
        }

    def reporters(self) -> list[str]:
        """The trackers that transformers is to set up itself."""
        return ["wandb"] if "wandb" in self.config.report_to else []

    def append(self, record: dict[str, Any]) -> None:
        """Add one line to the log."""
        append_log(self.out / _LOG, record)

    def write_curves(self) -> None:
        """Draw what the log holds so far."""
        write_curves(self.log(), self.out, sets=[dev.name for dev in self.config.dev])

    def keep_best(self, loaded: Loaded, readings: list[Readings], step: int) -> None:
        """Keep these weights in `best` if they read the chosen set better than any before."""
        best = self.config.best_metric
        assert best is not None
        value = goodness_of(readings, best)
        path = self.out / "best" / "best.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["goodness"] >= value:
            return
        save_weights(loaded, self.out / "best")
        record = {"step": step, "metric": ".".join(best), "goodness": value}
        runs.write_json(path, record | record_of(readings))

    # ---- the end --------------------------------------------------------------------------------

    def finish(
        self, loaded: Loaded, *, step: int, minutes: float, state: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write the last weights, the curves, the card and, last, `run.json`; returns what it holds.

        `state` are the weights gathered, when each process holds only a part of them.
        """
        best = self.out / "best" / "best.json"
        records = self.log()
        dev_names = [dev.name for dev in self.config.dev]
        dev = [
            {key: value for key, value in record.items() if key.split("_")[0] in dev_names}
            for record in records
            if any(key.split("_")[0] in dev_names for key in record)
        ]
        summary = {
            "step": step,
            "minutes": round(minutes, 3),
            "weights": self.weights.name,
            "parameters": self.parameters,
            "dev_at_start": dev[0] if dev else {},
            "dev": dev[-1] if dev else {},
            "best": json.loads(best.read_text(encoding="utf-8")) if best.is_file() else None,
            "data": json.loads((self.out / _DATA).read_text(encoding="utf-8")),
            "config": self.config.document(),
            "prompt_config": loaded.prompt_config.model_dump(mode="json"),
            "processes": self.processes,
            "versions": runs.provenance(*_VERSIONS),
        }
        if self.writes:
            save_weights(loaded, self.weights, state)
            self.write_curves()
            for folder in (self.weights, self.out / "best"):
                if folder.is_dir():
                    write_card(folder / "README.md", summary)
            write_card(self.out / "README.md", summary)
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            runs.write_json(self.out / MARKER, summary)
        return summary


def save_weights(loaded: Loaded, folder: Path, state: dict[str, Any] | None = None) -> None:
    """Write an adapter, or a whole model with its processor, and its prompt configuration; all or nothing."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    network = loaded.model
    if hasattr(network, "peft_config"):
        network.save_pretrained(
            part,
            state_dict=state,
            save_embedding_layers=False,
            selected_adapters=["default"],  # GRPO keeps its start beside it, as "ref"
        )
    else:
        network.save_pretrained(part, state_dict=state)
        loaded.processor.save_pretrained(part)
    loaded.prompt_config.save(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


class _Clock(TrainerCallback):
    """Runs the clock of the budget, and ends the run when it is used up."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.budget.go_on()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.budget.part_done(state.global_step) >= 1:
            control.should_training_stop = True
            # The last weights are written at once; a checkpoint of them could not be gone on from.
            control.should_save = False

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.budget.pause()


class _Dev(TrainerCallback):
    """Reads the dev sets at the start, every so many steps, and at the end."""

    def __init__(self, run: TuningRun, loaded: Loaded, budget: Budget, dev: DevReader) -> None:
        self.run, self.loaded, self.budget, self.dev = run, loaded, budget, dev
        self.read_at = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._read(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.run.config.dev_every == 0:
            self._read(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step != self.read_at:
            self._read(state.global_step)

    def _read(self, step: int) -> None:
        self.read_at = step
        if not self.run.writes or not self.dev.sets:
            return
        if self.run.is_sharded:
            return  # no process holds a network to read with
        self.budget.pause()
        readings = self.dev.read(self.loaded, self.run.out)
        values = record_of(readings)
        self.run.append({"step": step, "minutes": round(self.budget.minutes, 3)} | values)
        self.run.report(values, step)
        if self.run.config.best_metric is not None:
            self.run.keep_best(self.loaded, readings, step)
        self.run.write_curves()


class _Log(TrainerCallback):
    """Writes what the trainer logs, in our words, into the run's log."""

    def __init__(self, run: TuningRun, budget: Budget) -> None:
        self.run, self.budget = run, budget
        self.last = (0, 0.0)
        self.shown = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.last = (state.global_step, self.budget.minutes)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise TexlensError(
                f"The loss up to step {state.global_step} is no number: lower learning_rate, and "
                "begin anew with --force."
            )
        minutes = self.budget.minutes
        steps, seconds = state.global_step - self.last[0], 60 * (minutes - self.last[1])
        self.last = state.global_step, minutes
        record = {"step": state.global_step, "minutes": round(minutes, 3)}
        record |= {
            ours: float(f"{logs[theirs]:.6g}") for theirs, ours in _LOGGED.items() if theirs in logs
        }
        record |= {name[len(OWN) :]: round(logs[name], 6) for name in logs if name.startswith(OWN)}
        examples = steps * self.run.config.examples_per_step(self.run.processes)
        record["examples_per_second"] = round(examples / max(seconds, 1e-9), 2)
        self.run.append(record)
        if not sys.stderr.isatty() and time.monotonic() - self.shown > _SHOW_EVERY_SECONDS:
            self.shown = time.monotonic()
            line = "  ".join(f"{name} {value}" for name, value in record.items())
            print(line, file=sys.stderr, flush=True)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))
