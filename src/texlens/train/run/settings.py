"""The settings that all fine-tuning shares: the start, what is trained, data, dev, the run.

A recipe of supervised fine-tuning (`config_sft`) or of GRPO (`config_grpo`) adds its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from texlens.metrics.registry import KEYS
from texlens.model.prompt_config import PromptConfig
from texlens.train.run.config import Rows, Settings

Part = Literal["language_model", "vision", "merger"]
"""A part of Qwen2.5-VL; the merger lies between vision and language model."""


class Lora(Settings):
    """Low-rank adapters (Hu et al. 2021) on the linear layers of the parts that are trained."""

    rank: int = Field(default=8, gt=0)
    alpha: int = Field(default=16, gt=0)  # updates are scaled by alpha / rank
    dropout: float = Field(default=0.0, ge=0, lt=1)


class PromptConfigChanges(Settings):
    """Where the prompt configuration of the run departs from that of the model it starts from."""

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
        return prompt_config.model_copy(update=self.model_dump(exclude_none=True))


class DataFile(Settings):
    """Examples of a Parquet file: columns `image` and `latex_formula`, `id` where there is one.

    `rows` takes a half-open range. Without `share` every row comes once an epoch. With it the file
    makes that part of an epoch's examples, drawn anew for each epoch: so examples of an earlier
    stage are mixed into a later one.
    """

    parquet: Path
    rows: Rows | None = None
    share: float | None = Field(default=None, gt=0, lt=1)


class DevSet(Settings):
    """Pictures that are read, not trained on: `sample` of the rows, evenly spread; None: all."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    parquet: Path
    rows: Rows | None = None
    sample: int | None = Field(default=200, gt=0)


class TuningConfig(Settings):
    """Fine-tuning a Qwen2.5-VL.

    `model` is a folder, a name on the hub, or None for the embedded small model; `adapter` one to
    go on from. `parts` are trained, by LoRA or, without `lora`, in full; the others are frozen.

    Precision: weights that are trained are kept in float32, frozen ones in `precision`, which is
    also that of the arithmetic. `auto` is float32 on a CPU and bfloat16 elsewhere.

    `steps`, `epochs` or `minutes` is the budget: exactly one. Minutes are those of training, the
    reading of dev pictures left out. A step takes `batch` examples a process, `accumulation` times.

    Every `dev_every` steps, and at the start and the end, the dev sets are read and scored by
    `dev_metrics`; the weights that were best by `best`, as in `printed.cdm`, are kept.
    """

    description: str = ""
    model: str | None = None
    adapter: str | None = None
    prompt_config: PromptConfigChanges = PromptConfigChanges()

    parts: tuple[Part, ...] = Field(default=("language_model",), min_length=1)
    lora: Lora | None = Lora()
    quantisation: Literal["nf4"] | None = None  # of the frozen weights: 4 bits
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    attention: Literal["auto", "sdpa", "flash_attention_2"] = "auto"  # auto: flash where it works
    gradient_checkpointing: bool = False
    device: str = "auto"

    data: tuple[DataFile, ...] = Field(min_length=1)
    dev: tuple[DevSet, ...] = ()
    dev_metrics: tuple[str, ...] = ("exact", "edit_tokens", "cdm", "layout")
    dev_every: int = Field(default=500, gt=0)
    best: str | None = None  # None: the first dev set's first of cdm, exact, others

    steps: int | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    batch: int = Field(default=4, gt=0)
    accumulation: int = Field(default=2, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)  # part of the run; then a cosine down to 0
    weight_decay: float = Field(default=0.01, ge=0)
    gradient_norm: float = Field(default=1.0, gt=0)  # longer gradients are cut to it
    optimizer: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = "adamw_torch"

    seed: int = 0
    log_every: int = Field(default=10, gt=0)
    checkpoint_every: int = Field(default=200, gt=0)
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)

    @model_validator(mode="after")
    def _is_whole(self) -> TuningConfig:
        if sum(budget is not None for budget in (self.steps, self.epochs, self.minutes)) != 1:
            raise ValueError("give exactly one of steps, epochs, minutes (null takes one back)")
        if self.quantisation is not None and self.lora is None:
            raise ValueError("weights of 4 bits cannot be trained: give lora, or no quantisation")
        if all(file.share is not None for file in self.data):
            raise ValueError("data needs a file without share, which the shares are mixed into")
        if sum(file.share or 0.0 for file in self.data) >= 1:
            raise ValueError("the shares of data leave no room for the files without one")
        for key in self.dev_metrics:
            if key not in KEYS:
                raise ValueError(
                    f"dev_metrics: '{key}' is no metric: choose from {', '.join(KEYS)}"
                )
        names = [dev.name for dev in self.dev]
        if len(set(names)) < len(names):
            raise ValueError("two dev sets have one name")
        if self.best is not None:
            name, _, key = self.best.partition(".")
            if name not in names or key not in self.dev_metrics:
                raise ValueError("best: write it as DEV_SET.METRIC, of those that are read")
        return self

    @property
    def best_metric(self) -> tuple[str, str] | None:
        """The dev set and the metric that choose the best weights; None without dev sets."""
        if not self.dev or not self.dev_metrics:
            return None
        if self.best is not None:
            name, _, key = self.best.partition(".")
            return name, key
        key = next((k for k in ("cdm", "exact") if k in self.dev_metrics), self.dev_metrics[0])
        return self.dev[0].name, key

    def examples_per_step(self, processes: int = 1) -> int:
        """How many examples one optimiser step takes in all."""
        return self.batch * self.accumulation * processes

    def document(self) -> dict[str, Any]:
        """The settings as they are written beside a run."""
        return self.model_dump(mode="json")
