"""Training recipes: read from YAML, changed from the command line, mistakes named.

The settings themselves stand beside the training that obeys them: `config_pretrain`,
`config_tuning` (what all fine-tuning shares), `config_sft`, `config_grpo`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
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
    """A group of settings: no name that is not known, nothing changed once it is read."""

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
