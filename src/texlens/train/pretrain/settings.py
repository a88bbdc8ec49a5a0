"""The settings of training a small model from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from texlens.model.prompt_config import PromptConfig
from texlens.model.shape import Shape
from texlens.train.config import Rows, Settings


class PictureSource(Settings):
    """Pictures with their LaTeX.

    Exactly one of `parquet` (a prepared file, of which `rows` takes a half-open range) and `shards`
    (a folder as `texlens data render` writes it; the command may still be at work). `mixing_ratio`
    is the source's part of all samples, against the ratios of the other sources. `labels` is a file
    that `texlens data label` wrote: of the Parquet file's pictures only those with a label there are
    taken, each as often as its weight says.
    """

    parquet: Path | None = None
    labels: Path | None = None
    shards: Path | None = None
    mixing_ratio: float = Field(default=1.0, gt=0)
    rows: Rows | None = None
    pixels_per_em: float | None = None  # of Parquet pictures; None: measured on each picture

    @model_validator(mode="after")
    def _one_of(self) -> PictureSource:
        if (self.shards is None) == (self.parquet is None):
            raise ValueError("give either parquet or shards")
        if self.labels is not None and self.parquet is None:
            raise ValueError("labels are for the pictures of a Parquet file")
        return self

    @property
    def path(self) -> Path:
        """The file or folder."""
        path = self.parquet or self.shards
        assert path is not None
        return path

    @property
    def name(self) -> str:
        """What the pictures are called in logs: the file's or folder's name."""
        generic = self.path.stem in ("train", "validation", "test")
        return self.path.parent.name if generic else self.path.stem


class Augmentation(Settings):
    """How far a picture is changed each time it is used, on the training device."""

    scale: float = Field(default=1.25, ge=1, description="size of type, up to this factor each way")
    rotation_degrees: float = Field(default=0.6, ge=0)
    ink_gamma: tuple[float, float] = (0.7, 3.5)  # power of the grey values: above 1 is heavier ink
    blur_pixels: float = Field(default=0.9, ge=0)
    noise: float = Field(default=0.06, ge=0)
    fade: float = Field(default=0.3, ge=0, lt=1)  # loss of contrast of ink, and half that of paper
    untouched: float = Field(default=0.25, ge=0, le=1)  # part of the pictures left as they are
    keystone: float = Field(default=0.0, ge=0, le=0.5)  # perspective: how much larger one side is
    looks: float = Field(
        default=0.0, ge=0, le=2
    )  # how often scans, screens and cameras; see looks.py


class PretrainConfig(Settings):
    """Training a small model from scratch, or on from `start`: the folder of one of this shape."""

    job: Literal["pretrain"] = "pretrain"
    description: str = ""
    start: Path | None = None  # its weights and its tokeniser
    shape: Shape = Shape()
    prompt_config: PromptConfig = PromptConfig()
    vocabulary: int = Field(default=1536, gt=300)
    data: tuple[PictureSource, ...] = Field(min_length=1)
    dev: tuple[PictureSource, ...] = ()
    augmentation: Augmentation = Augmentation()

    minutes: float | None = Field(default=90.0, gt=0)
    max_steps: int | None = Field(default=None, gt=0)  # instead of minutes
    patches_per_batch: int = Field(default=131_072, gt=0)
    max_tokens: int = Field(default=220, gt=0)  # longer formulas are left out, and counted

    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=500, gt=0)
    cooldown: float = Field(default=0.2, gt=0, le=1)  # last part of the run, where the rate falls
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # of the averaged weights, which are kept
    weight_decay: float = Field(default=0.05, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)  # longer gradients are cut to it
    # The length of the longest formula at the start, and the part of the run in which it grows.
    curriculum_tokens: int = Field(default=14, gt=0)
    curriculum: float = Field(default=0.15, ge=0, lt=1)
    ctc_weight: float = Field(default=0.5, ge=0)
    ctc_until: float = Field(default=0.6, ge=0, le=1)  # part of the run after which it has faded
    token_noise: float = Field(default=0.05, ge=0, le=1)  # part fed back replaced by random ones

    hard_examples: float = Field(
        default=0.0, ge=0, le=2, description="power of a picture's last loss by which it is drawn"
    )

    compile: bool = False  # compile the layers once: pays on a GPU, not for minutes on a CPU
    seed: int = 0
    pool_gib: float = Field(default=40.0, gt=0)  # room for pictures; see PicturePool
    logging_steps: int = Field(default=50, gt=0)
    dev_minutes: float = Field(default=4.0, gt=0)
    checkpoint_minutes: float = Field(default=3.0, gt=0)

    @model_validator(mode="after")
    def _one_budget(self) -> PretrainConfig:
        if self.max_steps is None and self.minutes is None:
            raise ValueError("give minutes or max_steps")
        if self.prompt_config.pixels_per_em is None:
            raise ValueError(
                "prompt_config.pixels_per_em, the size of type to train with, is missing"
            )
        return self
