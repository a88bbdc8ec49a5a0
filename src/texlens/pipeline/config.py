"""The settings of a pipeline: its data sets, its training stages, how they are evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from texlens.data.corpora import CORPORA
from texlens.data.orders import ORDERS
from texlens.metrics.registry import KEYS
from texlens.reading.backends.base import Decoding
from texlens.records import Kind
from texlens.train.config import Settings

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class SetPlan(Settings):
    """One data set, with the options of `texlens data prepare SOURCE`.

    `sizes` are the numbers of train, validation and test items; a set for testing alone has
    [0, 0, N]. `files` are local copies of the corpus (`--from`); without them it is fetched from the
    hub. `order` is the order in which a sample is chosen. `seed` None: one of its own, made from the
    pipeline's.
    """

    source: Literal[*CORPORA]  # type: ignore[valid-type]
    files: tuple[Path, ...] = ()
    captions: Path | None = None
    subset: str | None = None
    kind: Kind = "printed"
    count: int | None = Field(default=None, gt=0)
    sizes: tuple[int, int, int] | None = None
    order: Literal[*ORDERS] = "by_hash"  # type: ignore[valid-type]
    seed: int | None = None
    revision: str | None = None
    max_tokens: int = Field(default=512, gt=0)
    vary_ink: bool = False

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The files that the set is made from."""
        return (*self.files, *([self.captions] if self.captions else []))


class Stage(Settings):
    """One stage of training, which starts from the weights of the previous one.

    `recipe` is the name of a shipped recipe or a YAML file. `data` names the sets to train on;
    `rehearse` gives further sets and the share of an epoch that each of them makes. `settings`
    change the recipe. Model, adapter, data, dev sets and seed come from the pipeline. `merge`: what
    is evaluated, and what the next stage starts from, is the model with the adapter merged into it.
    `best`: it is the best weights by the recipe's `metric_for_best_model`, not the last ones.
    """

    name: Name
    job: Literal["sft", "grpo"]
    recipe: str
    data: tuple[str, ...] = Field(min_length=1)
    rehearse: dict[str, float] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    merge: bool = False
    best: bool = False

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of all sets that it trains on."""
        return (*self.data, *self.rehearse)


class ReadingPlan(Settings):
    """How the test splits are read and scored; the same for every model, so that they compare.

    `prompt`: as for `texlens read --prompt`; None: each model's own.
    """

    prompt: str | None = None
    decoding: Decoding = "greedy"
    max_new_tokens: int | None = Field(default=None, gt=0)
    constrained: bool = True
    reread: bool = True
    batch_size: int | None = Field(default=None, gt=0)
    limit: int | None = Field(default=None, gt=0)
    metrics: tuple[Literal[*KEYS], ...] = KEYS  # type: ignore[valid-type]


class PipelineConfig(Settings):
    """A pipeline. `model` is the base model; None for the embedded model.

    `heading` is the first line of the report, for what its reader must know before the numbers;
    `measures` are the metrics of its first picture and table.
    """

    job: Literal["pipeline"] = "pipeline"
    description: str = ""
    heading: str = ""
    model: str | None = None
    seed: int = 0
    workers: int = Field(default=1, gt=0)
    sets: dict[Name, SetPlan] = Field(min_length=1)
    stages: tuple[Stage, ...] = ()
    reading: ReadingPlan = ReadingPlan()
    measures: tuple[Literal[*KEYS], ...] = ("bleu", "cdm", "exprate_cdm")  # type: ignore[valid-type]
    reported: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        """The measures that are computed; the first three of all where none of them is."""
        computed = tuple(key for key in self.measures if key in self.reading.metrics)
        return computed or self.reading.metrics[:3]

    @model_validator(mode="after")
    def _names_fit(self) -> PipelineConfig:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names) or "base" in names:
            raise ValueError("stages: every stage needs a unique name, and 'base' is taken")
        for stage in self.stages:
            for name in stage.sets:
                if name not in self.sets:
                    raise ValueError(
                        f"stages: '{stage.name}' trains on '{name}', which is not a set"
                    )
        return self
