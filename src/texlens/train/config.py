"""Training recipes: read from YAML, changed from the command line, checked.

The settings themselves are in `train.settings` (all fine-tuning), `sft.settings`, `grpo.settings` and
`pretrain.settings`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from texlens.errors import InputError

Config = TypeVar("Config", bound=BaseModel)

Rows = tuple[int, int]
"""A half-open range of rows of a Parquet file."""


class Settings(BaseModel):
    """A group of settings: unknown names are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def recipe_names() -> dict[str, str]:
    """The shipped recipes and their one-line descriptions."""
    folder = resources.files("texlens") / "recipes"
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            document = yaml.safe_load(entry.read_text(encoding="utf-8"))
            found[entry.name.removesuffix(".yaml")] = str(document.get("description", ""))
    return found


def load_recipe(recipe: str, kind: type[Config], changes: dict[str, Any] | None = None) -> Config:
    """Read a shipped recipe by its name, or a YAML file, and apply `changes` ("a.b" -> value).

    Raises InputError when it does not exist, is not YAML, or has a setting that is unknown or out
    of range: the message names the setting.
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
    """`key=value` arguments, with values as YAML, as changes for `load_recipe`."""
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
    """The first mistake and its setting; for an unknown setting the most similar one."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), _setting_names(kind), 1, 0.5)
        return f"there is no setting '{where}'" + (f" (nearest: '{near[0]}')" if near else "")
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def _setting_names(kind: type[BaseModel]) -> Iterator[str]:
    """The names of all settings of a recipe, with those of nested settings."""
    for name, field in kind.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _setting_names(part)


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *path, last = (int(part) if part.isdigit() else part for part in key.split("."))
    place: Any = document
    try:
        for part in path:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        place[last] = value
    except (IndexError, TypeError) as error:
        raise InputError(f"The recipe has no '{key}'.") from error
