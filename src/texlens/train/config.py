"""Training recipes: typed settings, read from YAML, changed from the command line."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from texlens.errors import InputError
from texlens.model.contract import Contract
from texlens.model.shape import Shape

Settings = TypeVar("Settings", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PictureSource(_Strict):
    """Pictures with their LaTeX, and how often to draw from them.

    Exactly one of `shards` (a folder that may still be filling while training runs), `parquet` (a
    prepared file) and `formulas` (text files, one formula a line, rendered into shards first).
    `rows` takes the half-open range of a Parquet file's rows; `share` is the part of all samples.
    """

    shards: Path | None = None
    parquet: Path | None = None
    formulas: tuple[Path, ...] = ()
    rows: tuple[int, int] | None = None
    share: float = Field(default=1.0, gt=0)
    pixels_per_em: float = 13.84  # of Parquet pictures, which do not say: 10 pt type at 100 dpi

    @model_validator(mode="after")
    def _one_of(self) -> PictureSource:
        if sum((self.shards is not None, self.parquet is not None, bool(self.formulas))) != 1:
            raise ValueError("give exactly one of shards, parquet, formulas")
        return self


class Augmentation(_Strict):
    """How far a picture is changed each time it is drawn, on the training device."""

    scale: float = Field(default=1.25, ge=1, description="size of type, up to this factor each way")
    rotation_degrees: float = Field(default=0.6, ge=0)
    ink_gamma: tuple[float, float] = (0.7, 3.5)  # power of the grey values: above 1 is heavier ink
    blur_pixels: float = Field(default=0.9, ge=0)
    noise: float = Field(default=0.06, ge=0)
    fade: float = Field(default=0.3, ge=0, lt=1)  # loss of contrast of ink, and half that of paper
    untouched: float = Field(default=0.25, ge=0, le=1)  # part of the pictures left as they are


class PretrainConfig(_Strict):
    """Training a small model from scratch."""

    job: Literal["pretrain"] = "pretrain"
    description: str = ""
    shape: Shape = Shape()
    contract: Contract = Contract()
    vocabulary: int = 1536
    data: tuple[PictureSource, ...]
    dev: tuple[PictureSource, ...] = ()
    augmentation: Augmentation = Augmentation()

    minutes: float | None = Field(default=90.0, gt=0)
    steps: int | None = Field(default=None, gt=0)  # instead of minutes
    patches_per_batch: int = Field(default=131_072, gt=0)
    max_tokens: int = Field(default=200, gt=0)  # longer formulas are left out, and counted

    learning_rate: float = 2e-3
    warmup_steps: int = 300
    weight_decay: float = 0.05
    gradient_norm: float = 1.0
    first_tokens: int = 14  # length of the longest formula at the start...
    growing: float = Field(default=0.12, ge=0, lt=1)  # ...and the part of the run lengths grow in
    ctc_weight: float = 0.5
    ctc_until: float = Field(default=0.5, ge=0, le=1)  # part of the run after which it has faded
    wrong_tokens: float = 0.05  # part of the tokens fed back that are replaced by random ones

    seed: int = 0
    compile: bool = True  # on a GPU
    pool_gib: float = 40.0  # room for pictures on the training device
    log_every: int = 50
    dev_minutes: float = 4.0
    checkpoint_minutes: float = 3.0

    @model_validator(mode="after")
    def _one_budget(self) -> PretrainConfig:
        if self.steps is None and self.minutes is None:
            raise ValueError("give minutes or steps")
        return self


def recipe_names() -> dict[str, str]:
    """The shipped recipes and their one-line descriptions."""
    folder = resources.files("texlens") / "recipes"
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            document = yaml.safe_load(entry.read_text(encoding="utf-8"))
            found[entry.name.removesuffix(".yaml")] = str(document.get("description", ""))
    return found


def load_recipe(
    recipe: str, kind: type[Settings], changes: dict[str, Any] | None = None
) -> Settings:
    """Read a recipe, by its shipped name or a YAML file, and apply `changes` ("a.b" -> value).

    Raises InputError when it does not exist, is not YAML, or has a setting that is unknown or out
    of range: the sentence names the setting.
    """
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml") or path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The recipe '{recipe}' cannot be read: {error}.") from error
    else:
        entry = resources.files("texlens") / "recipes" / f"{recipe}.yaml"
        if not entry.is_file():
            known = ", ".join(recipe_names())
            raise InputError(f"There is no recipe '{recipe}': give a YAML file or one of {known}.")
        text = entry.read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"The recipe '{recipe}' is not YAML: {error}.") from error
    if not isinstance(document, dict):
        raise InputError(f"The recipe '{recipe}' holds no settings.")
    for key, value in (changes or {}).items():
        _set(document, key, value)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(f"The recipe '{recipe}', {where}: {first['msg']}.") from error


def parse_changes(settings: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` arguments, values as YAML, into the form `load_recipe` takes."""
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InputError(f"'{setting}' is no setting: write --set key=value.")
        changes[key] = yaml.safe_load(value)
    return changes


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    place: Any = document
    *path, last = key.split(".")
    for part in path:
        if isinstance(place, list):
            index = int(part) if part.isdigit() else len(place)
            if index >= len(place):
                raise InputError(f"The recipe has no '{key}'.")
            place = place[index]
        else:
            place = place.setdefault(part, {})
    if isinstance(place, list) and last.isdigit() and int(last) < len(place):
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise InputError(f"The recipe has no '{key}'.")
