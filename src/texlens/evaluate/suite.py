"""Several models over several data sets, into one folder with one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from texlens.errors import InputError
from texlens.evaluate.recognisers import ModelReader, Recogniser, load_recogniser
from texlens.evaluate.run import DataSet, evaluate
from texlens.inputs import read_text
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.files import MARKER
from texlens.reading import Reader
from texlens.runs import open_out_folder, read_json, write_json, write_text
from texlens.tables import Table, number
from texlens.workers import Workers

SUITE = "suite.json"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _found(name: str, info: ValidationInfo) -> str:
    """The file of this name in the suite's folder, if there is one; else the name, as of a hub."""
    path = _in_folder(Path(name), info)
    return str(path) if path.exists() else name


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    return Path(info.context or ".", path)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteModel(_Strict):
    """A model of a suite; without `model`, the embedded one. `recogniser` is module:factory."""

    name: str = Field(pattern=_NAME)
    model: Annotated[str, AfterValidator(_found)] | None = None
    adapter: Annotated[str, AfterValidator(_found)] | None = None
    recogniser: str | None = None

    @model_validator(mode="after")
    def _is_one_model(self) -> SuiteModel:
        if self.recogniser is not None and (self.model or self.adapter):
            raise ValueError("give a model or a recogniser, not both")
        return self

    def open(self, batch_size: int | None) -> Recogniser | ModelReader:
        """Load the model."""
        if self.recogniser is not None:
            return load_recogniser(self.recogniser)
        return Reader(self.model, self.adapter, batch_size=batch_size)


class SuiteSet(_Strict):
    """A data set of a suite: a Parquet file, found from the suite's folder."""

    name: str = Field(pattern=_NAME)
    data: Annotated[Path, AfterValidator(_in_folder)]
    limit: int | None = Field(default=None, gt=0)


class Suite(_Strict):
    """The file for `--suite`: every model reads every set. `metrics` are keys, by default all."""

    models: tuple[SuiteModel, ...] = Field(min_length=1)
    sets: tuple[SuiteSet, ...] = Field(min_length=1)
    metrics: tuple[str, ...] | None = None


def load_suite(path: Path) -> Suite:
    """Read a suite, its relative paths made to start from its folder.

    Raises InputError when it cannot be read, or a setting is unknown, missing or wrong.
    """
    try:
        suite = Suite.model_validate(yaml.safe_load(read_text(path)), context=path.parent)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The suite '{path}' is not YAML: {reason}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(f"The suite '{path}', {where}: {first['msg']}.") from error
    for what, names in (("model", suite.models), ("set", suite.sets)):
        if len({one.name for one in names}) < len(names):
            raise InputError(f"The suite '{path}' names a {what} twice.")
    return suite


def evaluate_suite(
    suite: Suite,
    out: Path,
    config: ScoringConfig,
    *,
    batch_size: int | None = None,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Evaluate every model on every set, in folders `out/SET/MODEL`.

    Finished runs are kept unless `force` is given, so that an interrupted suite continues. Writes
    `suite.md`, and `suite.json` last, and returns its content.

    Raises InputError as `evaluate` does; every data set is checked before the first model runs.
    """
    return evaluate_sets(
        {one.name: partial(one.open, batch_size) for one in suite.models},
        {one.name: DataSet(one.data, one.limit) for one in suite.sets},
        out,
        config,
        workers=workers,
        force=force,
        quiet=quiet,
    )


def evaluate_sets(
    models: Mapping[str, Callable[[], Recogniser | ModelReader]],
    sets: Mapping[str, DataSet],
    out: Path,
    config: ScoringConfig,
    *,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """What `evaluate_suite` does, for models by what opens them and data sets by name."""
    open_out_folder(out, marker=SUITE, force=force)
    for data in sets.values():
        data.count()
    results: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for model, opens in models.items():
        open_recogniser = cache(opens)
        for name, data in sets.items():
            folder = out / name / model
            if (folder / MARKER).is_file() and not force:
                run = read_json(folder / MARKER)
            else:
                run = evaluate(
                    open_recogniser(),
                    data,
                    folder,
                    config,
                    workers=workers,
                    force=force,
                    quiet=quiet,
                )
            results[name][model] = {"n": run["n"], "metrics": run["metrics"]}
    document = {"results": results}
    write_text(out / "suite.md", suite_table(document))
    write_json(out / SUITE, document)
    return document


def suite_table(document: dict[str, Any]) -> str:
    """A Markdown table for each set: a row for each model, a column for each metric."""
    parts = ["# Suite"]
    for name, runs in document["results"].items():
        keys = list(next(iter(runs.values()))["metrics"])
        rows = [
            (model, str(run["n"]), *(number(run["metrics"][key]["value"]) for key in keys))
            for model, run in runs.items()
        ]
        parts.append(Table(name, ("model", "n", *keys), tuple(rows)).markdown(level=2))
    return "\n\n".join(parts) + "\n"
