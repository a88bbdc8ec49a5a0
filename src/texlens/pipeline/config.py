"""What a pipeline does: which sets, which stages of training, how they are read and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from texlens.data.corpora import CORPORA
from texlens.metrics.registry import KEYS
from texlens.records import Kind
from texlens.train.run.config import Settings

Name = r"^[A-Za-z][A-Za-z0-9_]*$"


class SetPlan(Settings):
    """One data set, as `texlens data prepare SOURCE` makes it.

    `sizes` are those of train, validation and test; a set that is only tested on has [0, 0, N].
    `files` are local copies of the corpus (`--from`).
    """

    source: str
    files: tuple[Path, ...] = ()
    captions: Path | None = None
    subset: str | None = None
    kind: Kind = "printed"
    count: int | None = Field(default=None, gt=0)
    sizes: tuple[int, int, int] | None = None
    max_tokens: int = Field(default=512, gt=0)
    vary_ink: bool = False

    @model_validator(mode="after")
    def _source_is_known(self) -> SetPlan:
        if self.source not in CORPORA:
            raise ValueError(
                f"there is no source '{self.source}': choose among {', '.join(CORPORA)}"
            )
        return self


class Stage(Settings):
    """One stage of training, which goes on from the one before it.

    `recipe` is a shipped one or a YAML file; `data` names the sets it trains on, `rehearse` sets
    that make a share of an epoch; `settings` change the recipe, by their places in it. Model,
    adapter, data, dev sets and seed are the pipeline's.
    """

    name: str = Field(pattern=Name)
    job: Literal["sft", "grpo"]
    recipe: str
    data: tuple[str, ...] = Field(min_length=1)
    rehearse: dict[str, float] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


class ReadingPlan(Settings):
    """How the test sets are read and scored; the same for every model, so that they compare."""

    constrained: bool = True
    reread: bool = True
    batch_size: int | None = Field(default=None, gt=0)
    limit: int | None = Field(default=None, gt=0)
    metrics: tuple[str, ...] = KEYS

    @model_validator(mode="after")
    def _metrics_are_known(self) -> ReadingPlan:
        for key in self.metrics:
            if key not in KEYS:
                raise ValueError(f"'{key}' is no metric: choose from {', '.join(KEYS)}")
        return self


class PipelineConfig(Settings):
    """A pipeline. `model` is where it starts, None for the embedded model.

    `heading` stands at the top of the report, for what its reader must know first.
    """

    job: Literal["pipeline"] = "pipeline"
    description: str = ""
    heading: str = ""
    model: str | None = None
    seed: int = 0
    workers: int = Field(default=1, gt=0)
    sets: dict[str, SetPlan] = Field(min_length=1)
    stages: tuple[Stage, ...] = ()
    reading: ReadingPlan = ReadingPlan()
    reported: bool = False

    @model_validator(mode="after")
    def _names_fit(self) -> PipelineConfig:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names) or "base" in names:
            raise ValueError("stages: every stage needs a name of its own, and 'base' is taken")
        for name in self.sets:
            if not name.isidentifier():
                raise ValueError(f"sets: '{name}' is no name: use letters, digits and _")
        for stage in self.stages:
            for name in (*stage.data, *stage.rehearse):
                if name not in self.sets:
                    raise ValueError(f"stages: '{stage.name}' trains on '{name}', which is no set")
        return self
