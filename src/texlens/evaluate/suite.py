"""Several models over several data sets, into one folder with one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from texlens.errors import InputError
from texlens.evaluate.run import DataSet, evaluate
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.report.files import MARKER
from texlens.reading import Reader
from texlens.runs import open_out_folder, write_json, write_text
from texlens.tables import Table, number

SUITE = "suite.json"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteModel(_Strict):
    """A model of a suite; without `model`, the embedded one."""

    name: str = Field(pattern=_NAME)
    model: str | None = None
    adapter: str | None = None


class SuiteSet(_Strict):
    """A data set of a suite: a Parquet file, found from the suite's folder."""

    name: str = Field(pattern=_NAME)
    data: Path
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
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The suite '{path}' cannot be read: {reason}.") from error
    try:
        suite = Suite.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(f"The suite '{path}', {where}: {first['msg']}.") from error
    for what, names in (("model", suite.models), ("set", suite.sets)):
        if len({one.name for one in names}) < len(names):
            raise InputError(f"The suite '{path}' names a {what} twice.")
    folder = path.parent

    def located(name: str | None) -> str | None:
        return str(folder / name) if name is not None and (folder / name).exists() else name

    return suite.model_copy(
        update={
            "models": tuple(
                one.model_copy(
                    update={"model": located(one.model), "adapter": located(one.adapter)}
                )
                for one in suite.models
            ),
            "sets": tuple(one.model_copy(update={"data": folder / one.data}) for one in suite.sets),
        }
    )


def evaluate_suite(
    suite: Suite,
    out: Path,
    config: ScoringConfig,
    *,
    batch_size: int | None = None,
    workers: int = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Evaluate every model on every set, in folders `out/SET/MODEL`.

    Finished runs are kept unless `force` is given, so that an interrupted suite continues. Writes
    `suite.md`, and `suite.json` last, and returns its content.

    Raises InputError as `evaluate` does; every data set is checked before the first model runs.
    """
    open_out_folder(out, marker=SUITE, force=force)
    sets = {one.name: DataSet(one.data, one.limit) for one in suite.sets}
    for data in sets.values():
        data.count()
    results: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for one in suite.models:
        reader: Reader | None = None
        for name, data in sets.items():
            folder = out / name / one.name
            finished = folder / MARKER
            if finished.is_file() and not force:
                results[name][one.name] = json.loads(finished.read_text(encoding="utf-8"))
                continue
            if reader is None:
                reader = Reader(one.model, one.adapter, batch_size=batch_size)
            results[name][one.name] = evaluate(
                reader, data, folder, config, workers=workers, force=force, quiet=quiet
            )
    document = {
        "results": {
            name: {model: {"n": run["n"], "metrics": run["metrics"]} for model, run in runs.items()}
            for name, runs in results.items()
        }
    }
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
