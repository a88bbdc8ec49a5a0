"""The settings that all fine-tuning shares: start, trained weights, data, dev sets, schedule, run.

Supervised fine-tuning (`train.sft.settings`) and GRPO (`train.grpo.settings`) add their own. A
setting that Transformers, TRL or PEFT also has keeps its name and meaning, unless a docstring here
says otherwise.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from texlens.metrics.registry import KEYS
from texlens.model.prompt_config import PromptConfig, PromptName, with_prompt
from texlens.train.config import Rows, Settings

ModuleName = Literal["language_model", "vision", "merger"]
"""A part of Qwen2.5-VL; the merger lies between the vision tower and the language model."""


class Lora(Settings):
    """Low-rank adapters (arXiv:2106.09685) on the linear layers of the trainable modules."""

    r: int = Field(default=8, gt=0)
    lora_alpha: int = Field(default=16, gt=0)  # updates are scaled by lora_alpha / r
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)


class PromptConfigChanges(Settings):
    """Where the prompt configuration of the run differs from that of the model it starts from.

    `prompt` takes the words of a named prompt; the other settings are applied after it.
    """

    prompt: PromptName | None = None
    system: str | None = None
    instruction: str | None = None
    answer_format: Literal["plain", "think_answer"] | None = None
    min_pixels: int | None = Field(default=None, gt=0)
    max_pixels: int | None = Field(default=None, gt=0)
    max_new_tokens: int | None = Field(default=None, gt=0)
    pixels_per_em: float | None = Field(default=None, gt=0)
    licence: str | None = None

    def applied_to(self, prompt_config: PromptConfig) -> PromptConfig:
        """The prompt configuration with these changes."""
        named = with_prompt(prompt_config, self.prompt) if self.prompt else prompt_config
        changes = self.model_dump(exclude_none=True, exclude={"prompt"})
        return named.model_copy(update=changes)


class DataFile(Settings):
    """Examples of a Parquet file: columns `id`, `image` and `latex_formula`.

    `rows` takes a half-open range. Without `mixing_ratio` every row comes once an epoch. With it,
    the file makes up that part of an epoch's examples, sampled again for each epoch: so examples of
    an earlier stage are mixed into a later one.
    """

    parquet: Path
    rows: Rows | None = None
    mixing_ratio: float | None = Field(default=None, gt=0, lt=1)


class DevSet(Settings):
    """Pictures to evaluate on, never to train on: `sample` rows, evenly spaced; None: all rows."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    parquet: Path
    rows: Rows | None = None
    sample: int | None = Field(default=200, gt=0)


class FineTuningConfig(Settings):
    """Fine-tuning a Qwen2.5-VL.

    `model` is a folder, a name on the hub, or None for the embedded small model; `adapter` is an
    adapter to continue from. `trainable_modules` are trained, by LoRA or, if `lora` is None, in
    full; the others are frozen.

    Trained weights are kept in float32, frozen ones in `precision`, which is also that of the
    arithmetic. `auto` is float32 on a CPU and bfloat16 elsewhere.

    Exactly one of `max_steps`, `num_train_epochs` and `minutes` says how long to train. `minutes`
    counts training only, not the evaluation on dev sets. The learning rate rises over the first
    `warmup_ratio` of the schedule and then falls to 0 by `lr_scheduler_type`. The schedule is as long
    as the run, unless `schedule_steps` gives another length: then the run is a part of it, from step
    `schedule_start` on.

    `learning_rates` gives some of the trainable modules another rate than `learning_rate`.

    With `save_optimizer` the optimiser's state is kept beside the last weights. A run with
    `continue_optimizer` starts with the state beside its `adapter`, where otherwise it starts anew.

    Every `eval_steps` steps, and at the start and the end, the dev sets are read and scored by
    `dev_metrics`. The weights that were best by `metric_for_best_model` are kept. It is written
    DEV_SET.METRIC, as in `printed.cdm`; None: the first dev set, and of its metrics cdm, exact or
    the first. With `early_stopping_patience` a run ends after so many evaluations without a better
    value.
    """

    description: str = ""
    model: str | None = None
    adapter: str | None = None
    prompt_config: PromptConfigChanges = PromptConfigChanges()

    trainable_modules: tuple[ModuleName, ...] = Field(default=("language_model",), min_length=1)
    lora: Lora | None = Lora()
    quantisation: Literal["nf4"] | None = None  # of the frozen weights: 4 bits
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    attn_implementation: Literal["auto", "sdpa", "flash_attention_2"] = "auto"
    gradient_checkpointing: bool = False
    fit_to_memory: bool = (
        True  # on a GPU: checkpointing and accumulation by a trial; see network.probe
    )
    compile: bool = False  # the decoder layers: takes two minutes at first, pays in a long run
    cuda_graphs: bool = True  # on a GPU, where the pass has neither checkpointing nor dropout
    device: str = "auto"

    data: tuple[DataFile, ...] = Field(min_length=1)
    dev: tuple[DevSet, ...] = ()
    dev_metrics: tuple[str, ...] = ("exact", "edit_tokens", "cdm", "layout")
    eval_steps: int = Field(default=500, gt=0)
    metric_for_best_model: str | None = None
    early_stopping_patience: int | None = Field(default=None, gt=0)

    max_steps: int | None = Field(default=None, gt=0)
    num_train_epochs: float | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    per_device_train_batch_size: int = Field(default=4, gt=0)
    per_device_eval_batch_size: int | None = Field(default=None, gt=0)  # None: 8, or 64 if small
    gradient_accumulation_steps: int = Field(default=2, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0)
    learning_rates: dict[ModuleName, float] = Field(default_factory=dict)
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    schedule_steps: int | None = Field(default=None, gt=0)
    schedule_start: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    optim: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = "adamw_torch"
    save_optimizer: bool = False
    continue_optimizer: bool = False

    seed: int = 0
    logging_steps: int = Field(default=10, gt=0)
    save_steps: int = Field(default=200, gt=0)
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)

    @model_validator(mode="after")
    def _is_consistent(self) -> FineTuningConfig:
        if [self.max_steps, self.num_train_epochs, self.minutes].count(None) != 2:
            raise ValueError(
                "give exactly one of max_steps, num_train_epochs, minutes (null unsets one)"
            )
        if self.quantisation is not None and self.lora is None:
            raise ValueError("weights of 4 bits cannot be trained: give lora, or no quantisation")
        if others := set(self.learning_rates) - set(self.trainable_modules):
            raise ValueError(
                f"learning_rates: {', '.join(sorted(others))} is not among the trainable_modules"
            )
        if self.schedule_steps is None and self.schedule_start:
            raise ValueError("schedule_start needs schedule_steps, the length of the schedule")
        if self.schedule_steps is not None and self.max_steps is None:
            raise ValueError("schedule_steps needs max_steps, the part of the schedule to run")
        if self.schedule_start + (self.max_steps or 0) > (self.schedule_steps or math.inf):
            raise ValueError("schedule_start and max_steps go beyond schedule_steps")
        if self.continue_optimizer and (self.adapter is None or self.lora is None):
            raise ValueError("continue_optimizer needs an adapter to continue")
        if (self.continue_optimizer or self.save_optimizer) and self.optim != "adamw_torch":
            raise ValueError("the optimiser's state is kept and continued for adamw_torch only")
        ratios = [file.mixing_ratio for file in self.data]
        if None not in ratios:
            raise ValueError("data needs a file without mixing_ratio, to mix the others into")
        if sum(ratio or 0.0 for ratio in ratios) >= 1:
            raise ValueError("the mixing ratios of data leave no room for files without one")
        for key in self.dev_metrics:
            if key not in KEYS:
                raise ValueError(
                    f"dev_metrics: '{key}' is no metric: choose from {', '.join(KEYS)}"
                )
        if self.early_stopping_patience is not None and not (self.dev and self.dev_metrics):
            raise ValueError("early_stopping_patience needs dev sets and dev_metrics")
        names = [dev.name for dev in self.dev]
        if len(set(names)) < len(names):
            raise ValueError("two dev sets have one name")
        if self.metric_for_best_model is not None:
            name, _, key = self.metric_for_best_model.partition(".")
            if name not in names or key not in self.dev_metrics:
                raise ValueError(
                    "metric_for_best_model: write it as DEV_SET.METRIC, with a dev set and a "
                    "metric of this recipe"
                )
        return self

    @property
    def best_metric(self) -> tuple[str, str] | None:
        """The dev set and the metric that choose the best weights; None without dev sets."""
        if not self.dev or not self.dev_metrics:
            return None
        if self.metric_for_best_model is not None:
            name, _, key = self.metric_for_best_model.partition(".")
            return name, key
        key = next((k for k in ("cdm", "exact") if k in self.dev_metrics), self.dev_metrics[0])
        return self.dev[0].name, key

    def examples_per_step(self, processes: int = 1) -> int:
        """The number of examples of one optimiser step, over all processes."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps * processes

    def document(self) -> dict[str, Any]:
        """The settings as they are written beside a run."""
        return self.model_dump(mode="json")
