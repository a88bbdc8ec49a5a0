"""The folder of a fine-tuning run: settings, complete checkpoints, log, best and last weights.

Supervised fine-tuning and GRPO share it. A checkpoint counts once its `complete.json` is written,
which is last; a run is finished once it has its `run.json`.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Container
from pathlib import Path
from typing import Any

import torch
import yaml

from texlens import runs
from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.train.network.adapters import count_parameters, is_sharded
from texlens.train.network.optimizer_state import OPTIMIZER, check_optimizer
from texlens.train.run.curves import append_log, read_log, write_curves
from texlens.train.run.dev_evaluation import DevValues, quality_of, values_by_name
from texlens.train.run.model_card import write_card
from texlens.train.run.processes import is_main_process, process_count
from texlens.train.run.schedule import Schedule
from texlens.train.settings import FineTuningConfig

EVALUATION_SECONDS = "seconds_evaluation"
"""The name in the log of the seconds that an evaluation took."""

MARKER = "run.json"  # written last: a folder that has it is finished
CHECKPOINTS = "checkpoints"
_CONFIG, _LOG, _DATA, _START = "config.yaml", "log.jsonl", "dataset.json", "start.json"
_COMPLETE = "complete.json"
_NOT_DEV = ("step", "minutes", EVALUATION_SECONDS)
# Settings that may change when a run is resumed; all others decide its result.
_CHANGEABLE = {
    "description", "logging_steps", "eval_steps", "save_steps", "dataloader_num_workers",
    "report_to", "gradient_checkpointing", "per_device_eval_batch_size",
}  # fmt: skip
_VERSIONS = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes")


class RunFolder:
    """One run of fine-tuning and its folder.

    Under a launcher of several processes each has one, and only the main process writes.

    Raises InputError when the run in `out` was started with other settings.
    """

    def __init__(self, config: FineTuningConfig, out: Path, *, overwrite: bool = False) -> None:
        self.config, self.out, self.overwrite = config, out, overwrite
        self.processes, self.is_main_process = process_count(), is_main_process()
        self.parameters: dict[str, int] = {}
        self.revision: str | None = None
        self._ends_with_best: str | None = None
        if config.minutes is not None and self.processes > 1:
            raise InputError(
                "A limit in minutes works with one process only, since several would stop at "
                "different steps: give max_steps or num_train_epochs."
            )
        self._check_settings()
        if config.continue_optimizer and config.adapter is not None:
            check_optimizer(config.adapter)
        for tracker in config.report_to:
            if importlib.util.find_spec(tracker) is None:
                raise InputError(
                    f"The tracker '{tracker}' of report_to is not installed: install the Python "
                    f"package '{tracker}', or leave it out with --set 'report_to=[]'."
                )

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds only a part of the weights (FSDP)."""
        return is_sharded()

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.out / CHECKPOINTS

    @property
    def weights(self) -> Path:
        """The folder of the last weights."""
        return self.out / ("model" if self.config.lora is None else "adapter")

    @property
    def best(self) -> Path:
        """The folder of the best weights."""
        return self.out / "best"

    # ---- starting and resuming ------------------------------------------------------------------

    def _check_settings(self) -> None:
        path = self.out / _CONFIG
        if self.last_checkpoint() is None or not path.is_file():
            return
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        changeable = _CHANGEABLE
        split = ("per_device_train_batch_size", "gradient_accumulation_steps")
        if math.prod(before.get(name, 0) for name in split) == self.config.examples_per_step():
            changeable = changeable | set(split)  # the same steps, in other parts
        check_same_settings(self.out, before, self.config.document(), changeable=changeable)

    def write_start(self, data: dict[str, Any], network: torch.nn.Module) -> None:
        """Write the resolved settings and the record of the data; with `overwrite`, into an empty folder.

        Raises InputError when the run to be resumed had other data, processes, or a base of another
        revision on the hub.
        """
        self.parameters = count_parameters(network)
        self.revision = _revision(network)
        start = {"number of processes": self.processes, "revision of the base": self.revision}
        self._check_start(data, start)
        if not self.is_main_process:
            return
        if self.overwrite:
            for folder in (self.checkpoints, self.best, "adapter", "model", "tensorboard"):
                shutil.rmtree(self.out / folder, ignore_errors=True)
            for name in (MARKER, _CONFIG, _LOG, _DATA, _START, OPTIMIZER):
                (self.out / name).unlink(missing_ok=True)
        document = yaml.safe_dump(self.config.document(), sort_keys=False, allow_unicode=True)
        runs.write_text(self.out / _CONFIG, document)
        runs.write_json(self.out / _DATA, data)
        runs.write_json(self.out / _START, start)

    def _check_start(self, data: dict[str, Any], start: dict[str, Any]) -> None:
        """Compare data and start with those of the run to be resumed."""
        if self.last_checkpoint() is None or not (self.out / _START).is_file():
            return
        before = runs.read_json(self.out / _DATA)
        for was, now in zip(before["files"], data["files"], strict=True):
            if was["sha256"] != now["sha256"]:
                raise InputError(
                    f"'{now['parquet']}' has changed since the run in '{self.out}' was started: "
                    "restore it to resume the run, give another --out, or --force to start again."
                )
        check_same_settings(self.out, runs.read_json(self.out / _START), start, changeable=())

    def last_checkpoint(self) -> Path | None:
        """The last complete checkpoint; None when there is none to resume from."""
        if self.overwrite:
            return None
        complete = [path.parent for path in self.checkpoints.glob(f"checkpoint-*/{_COMPLETE}")]
        return max(complete, key=step_of, default=None)

    def resume(self, schedule: Schedule) -> str | None:
        """The checkpoint to resume from; sets the clock back to it and drops later log lines."""
        checkpoint = self.last_checkpoint()
        log: list[dict[str, Any]] = []
        if checkpoint is not None:
            schedule.minutes = runs.read_json(checkpoint / _COMPLETE)["minutes"]
            log = read_log(self.out / _LOG, up_to_step=step_of(checkpoint))
        if self.is_main_process:
            runs.write_json_lines(self.out / _LOG, log)
        return None if checkpoint is None else str(checkpoint)

    def complete_checkpoint(self, step: int, schedule: Schedule) -> None:
        """Mark the checkpoint of this step as complete, and remove those before it."""
        if not self.is_main_process:
            return
        record = {"step": step, "minutes": schedule.minutes}
        runs.write_json(self.checkpoints / f"checkpoint-{step}" / _COMPLETE, record)
        for path in self.checkpoints.glob("checkpoint-*"):
            if step_of(path) != step:
                shutil.rmtree(path, ignore_errors=True)

    # ---- while it runs --------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return read_log(self.out / _LOG)

    def append(self, record: dict[str, Any]) -> None:
        """Add one line to the log."""
        append_log(self.out / _LOG, record)

    def write_curves(self) -> None:
        """Plot the log so far."""
        write_curves(self.log(), self.out, sets=[dev.name for dev in self.config.dev])

    def is_best(self, results: DevValues) -> bool:
        """Whether the chosen metric on the chosen dev set is better than ever before."""
        before = self._best_record()
        return before is None or self._quality(results) > before["quality"]

    def keep_best(
        self, loaded: Loaded, results: DevValues, step: int, state: dict[str, Any] | None
    ) -> None:
        """Keep these weights in `best`; `state` as in `finish`."""
        assert self.config.best_metric is not None
        save_weights(loaded, self.best, state)
        record = {"metric": ".".join(self.config.best_metric), "quality": self._quality(results)}
        runs.write_json(self.best / "best.json", {"step": step} | record | values_by_name(results))

    def evaluations_since_best(self) -> int:
        """How often the dev sets were read after the step of the best weights."""
        best, name = self._best_record(), ".".join(self.config.best_metric or ()).replace(".", "_")
        return sum(name in record and record["step"] > best["step"] for record in self.log())

    def end_with_best(self, why: str) -> None:
        """Let the run end with its best weights in place of the last; `why` is on record."""
        self._ends_with_best = why

    def _quality(self, results: DevValues) -> float:
        assert self.config.best_metric is not None
        return quality_of(results, self.config.best_metric)

    def _best_record(self) -> Any:
        path = self.best / "best.json"
        return runs.read_json(path) if path.is_file() else None

    # ---- the end --------------------------------------------------------------------------------

    def finish(
        self, loaded: Loaded, *, step: int, minutes: float, state: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write the last weights, the curves, the model card and, last, `run.json`.

        `state` are the gathered weights, when each process holds only a part of them.

        Returns the content of `run.json`.
        """
        dev = [
            {name: value for name, value in record.items() if name not in _NOT_DEV}
            for record in self.log()
            if "loss" not in record
        ]
        first, last = (
            {k: v for record in part for k, v in record.items()} for part in (dev[::-1], dev)
        )
        summary = {
            "step": step,
            "minutes": round(minutes, 3),
            "weights": self.weights.name,
            "parameters": self.parameters,
            "dev_at_start": {name: first[name] for name in last},
            "dev": last,
            "best": self._best_record(),
            "ended_with_best": self._ends_with_best,
            "data": runs.read_json(self.out / _DATA),
            "config": self.config.document(),
            "prompt_config": loaded.prompt_config.model_dump(mode="json"),
            "processes": self.processes,
            "base_revision": self.revision,
            "versions": runs.provenance(*_VERSIONS),
        }
        if self.is_main_process:
            save_weights(loaded, self.weights, state)
            if self._ends_with_best is not None:
                copied = shutil.ignore_patterns("best.json")
                shutil.copytree(self.best, self.weights, dirs_exist_ok=True, ignore=copied)
            self.write_curves()
            for folder in (self.weights, self.best, self.out):
                if folder.is_dir():
                    write_card(folder / "README.md", summary)
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            runs.write_json(self.out / MARKER, summary)
        return summary


def check_same_settings(
    out: Path, before: dict[str, Any], now: dict[str, Any], *, changeable: Container[str]
) -> None:
    """Raise InputError when a run was started with other settings that decide its result."""
    other = [key for key in now if now[key] != before.get(key) and key not in changeable]
    if other:
        raise InputError(
            f"The run in '{out}' was started with another {', '.join(other)}: give the same "
            "settings to resume it, another --out, or --force to start again."
        )


def _revision(network: Any) -> str | None:
    """The commit of a base from the hub; None for a folder."""
    revision: str | None = getattr(network.config, "_commit_hash", None)
    return revision


def save_weights(loaded: Loaded, folder: Path, state: dict[str, Any] | None = None) -> None:
    """Write an adapter, or a whole model with its processor, and the prompt configuration; all or nothing."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    network = loaded.model
    if hasattr(network, "peft_config"):
        network.save_pretrained(
            part,
            state_dict=state,
            save_embedding_layers=False,
            selected_adapters=["default"],  # GRPO keeps a copy of its start as adapter "ref"
        )
    else:
        network.save_pretrained(part, state_dict=state)
        loaded.processor.save_pretrained(part)
    loaded.prompt_config.save(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(checkpoint.name.removeprefix("checkpoint-"))
