"""Training recipes: typed settings, read from YAML, changed from the command line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from texlens.errors import InputError
from texlens.model.contract import Contract
from texlens.model.shape import Shape

Settings = TypeVar("Settings", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Rows = tuple[int, int]


class FormulaList(_Strict):
    """Formulas to be drawn as pictures, and how often beside the other lists of a source.

    `list` takes the formulas of a file as they are, `recombine` makes new ones out of their parts,
    `grammar` needs no file. The file has one formula a line, or is Parquet with a column
    `latex_formula`, of which `rows` takes a half-open range.
    """

    kind: Literal["list", "recombine", "grammar"]
    weight: float = Field(default=1.0, gt=0)
    path: Path | None = None
    rows: Rows | None = None

    @model_validator(mode="after")
    def _has_its_file(self) -> FormulaList:
        if (self.path is None) != (self.kind == "grammar"):
            raise ValueError("list and recombine need a path, grammar has none")
        return self


class PictureSource(_Strict):
    """Pictures with their LaTeX, and how often to draw from them.

    Exactly one of `formulas` (rendered into the run's folder while it trains), `parquet` (a
    prepared file, of which `rows` takes a half-open range) and `shards` (a folder as
    `texlens.data.printed` writes it, which may still be filling). `share` is the part of all
    samples, against the shares of the other sources.
    """

    formulas: tuple[FormulaList, ...] = ()
    parquet: Path | None = None
    shards: Path | None = None
    share: float = Field(default=1.0, gt=0)
    pictures: int = Field(default=100_000, gt=0)  # of formulas: how many to render
    rows: Rows | None = None
    pixels_per_em: float | None = None  # of Parquet pictures; None: measured on each picture

    @model_validator(mode="after")
    def _one_of(self) -> PictureSource:
        if sum((self.shards is not None, self.parquet is not None, bool(self.formulas))) != 1:
            raise ValueError("give exactly one of formulas, parquet, shards")
        return self

    @property
    def name(self) -> str:
        """What the pictures are called in logs: the file's or folder's name."""
        path = self.parquet or self.shards
        if path is None:
            return "formulas"
        return path.parent.name if path.stem in ("train", "validation", "test") else path.stem


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
    vocabulary: int = Field(default=1536, gt=300)
    data: tuple[PictureSource, ...] = Field(min_length=1)
    dev: tuple[PictureSource, ...] = ()
    augmentation: Augmentation = Augmentation()

    minutes: float | None = Field(default=90.0, gt=0)
    steps: int | None = Field(default=None, gt=0)  # instead of minutes
    patches_per_batch: int = Field(default=131_072, gt=0)
    max_tokens: int = Field(default=220, gt=0)  # longer formulas are left out, and counted

    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=500, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    gradient_norm: float = Field(default=1.0, gt=0)  # longer gradients are cut to it
    first_tokens: int = Field(default=14, gt=0)  # length of the longest formula at the start...
    growing: float = Field(default=0.15, ge=0, lt=1)  # ...and the part of the run lengths grow in
    ctc_weight: float = Field(default=0.5, ge=0)
    ctc_until: float = Field(default=0.6, ge=0, le=1)  # part of the run after which it has faded
    wrong_tokens: float = Field(default=0.05, ge=0, le=1)  # part fed back replaced by random ones

    seed: int = 0
    render_processes: int | None = Field(default=None, gt=0)  # None: all cores but two
    pool_gib: float = Field(default=40.0, gt=0)  # room for pictures; see PicturePool
    log_every: int = Field(default=50, gt=0)
    dev_minutes: float = Field(default=4.0, gt=0)
    checkpoint_minutes: float = Field(default=3.0, gt=0)

    @model_validator(mode="after")
    def _one_budget(self) -> PretrainConfig:
        if self.steps is None and self.minutes is None:
            raise ValueError("give minutes or steps")
        if self.contract.pixels_per_em is None:
            raise ValueError("contract.pixels_per_em, the size of type to train with, is missing")
        if any(source.formulas for source in self.dev):
            raise ValueError("dev takes parquet or shards")
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
        text = recipe_text(recipe)
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
        raise InputError(f"The recipe '{recipe}': {_what_is_wrong(error, kind)}.") from error


def recipe_text(name: str) -> str:
    """The YAML of a shipped recipe. Raises InputError when there is none of that name."""
    entry = resources.files("texlens") / "recipes" / f"{name}.yaml"
    if not entry.is_file():
        known = ", ".join(recipe_names())
        raise InputError(f"There is no recipe '{name}': give a YAML file or one of {known}.")
    return entry.read_text(encoding="utf-8")


def parse_changes(settings: Sequence[str]) -> dict[str, Any]:
    """`key=value` arguments, values as YAML, into the form `load_recipe` takes."""
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InputError(f"'{setting}' is no setting: write --set key=value.")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"The value of --set {setting} is not YAML.") from error
    return changes


def _what_is_wrong(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first fault, with the setting it is in; a misspelt one with the nearest there is."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), _setting_names(kind), 1, 0.5)
        return f"there is no setting '{where}'" + (f" (nearest: '{near[0]}')" if near else "")
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def _setting_names(kind: type[BaseModel]) -> list[str]:
    """The names of all settings of a recipe, those of its parts too."""
    names: list[str] = []
    for name, field in kind.model_fields.items():
        names.append(name)
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names += _setting_names(part)
    return names


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
