"""The evaluations to compare, and the check that their numbers may be in one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.evaluate.run import PREDICTIONS
from texlens.evaluate.suite import SUITE
from texlens.inputs import json_records, read_text
from texlens.metrics.predictions import read_predictions
from texlens.metrics.report.files import MARKER
from texlens.records import Prediction
from texlens.runs import read_json


@dataclass(frozen=True)
class EvaluatedRun:
    """One evaluation as `texlens evaluate` wrote it: `model` read `set`, the names that tables use.

    `document` is the content of its `metrics.json`.
    """

    folder: Path
    model: str
    set: str
    document: dict[str, Any]

    @property
    def data_sha256(self) -> str:
        """A hash of the pictures and references."""
        return str(self.document["run"]["data_sha256"])

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Key -> value, interval, n and signature."""
        found: dict[str, dict[str, Any]] = self.document["metrics"]
        return found

    def value(self, key: str) -> float | None:
        """The value of a metric; None where it has none or was not computed."""
        value: float | None = self.metrics.get(key, {}).get("value")
        return value

    @cached_property
    def predictions(self) -> dict[str, Prediction]:
        """The predictions by id."""
        return {p.id: p for p in read_predictions(self.folder / PREDICTIONS)}

    @cached_property
    def values(self) -> dict[str, dict[str, float | None]]:
        """Every metric of every item, by id. Raises InputError when the file is damaged."""
        path = self.folder / "items.jsonl"
        return {item["id"]: item["metrics"] for _, item in json_records(path, read_text(path))}


def open_run(folder: Path, *, model: str | None = None, set: str | None = None) -> EvaluatedRun:
    """The evaluation in a folder, named by the folder and its data unless names are given.

    Raises InputError when the folder holds no finished evaluation.
    """
    for name in (MARKER, "items.jsonl", PREDICTIONS):
        if not (folder / name).is_file():
            raise InputError(
                f"'{folder}' has no {name}: give folders that `texlens evaluate` has finished."
            )
    try:
        document = read_json(folder / MARKER)
        document["metrics"], document["n"], document["run"]["data_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{folder / MARKER}' is not as `texlens evaluate` writes it.") from error
    name = model or folder.resolve().name
    return EvaluatedRun(folder, name, set or str(document["run"]["data"]), document)


def find_runs(arguments: Sequence[str]) -> list[EvaluatedRun]:
    """The evaluations of `FOLDER` or `NAME=FOLDER` arguments, in order.

    A folder of a suite gives all its evaluations, with the suite's names.

    Raises InputError when a folder holds neither.
    """
    runs: list[EvaluatedRun] = []
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        named = bool(equals) and not Path(argument).exists()
        folder = Path(rest if named else argument)
        if (folder / SUITE).is_file():
            if named:
                raise InputError(
                    f"'{folder}' is a suite, whose models have names: leave out '{name}='."
                )
            runs += _runs_of_suite(folder)
        else:
            runs.append(open_run(folder, model=name if named else None))
    return _distinct_sets(runs)


def _runs_of_suite(folder: Path) -> list[EvaluatedRun]:
    document = read_json(folder / SUITE)
    return [
        open_run(folder / set_name / model, model=model, set=set_name)
        for set_name, models in document["results"].items()
        for model in models
    ]


def _distinct_sets(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """The same name for the same pictures, different names for different ones."""
    names: dict[str, str] = {}
    for run in runs:
        names.setdefault(run.data_sha256, run.set)
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    return [
        replace(run, set=f"{name} ({run.data_sha256[:6]})" if name in shared else name)
        for run in runs
        for name in [names[run.data_sha256]]
    ]


def check_comparable(runs: Sequence[EvaluatedRun]) -> None:
    """Check that every column of a table has numbers of one kind.

    Raises InputError when two runs have one name, when one name of a set is used for different
    pictures, or when a metric of a set was computed in two ways.
    """
    seen: dict[tuple[str, str], EvaluatedRun] = {}
    first: dict[str, EvaluatedRun] = {}
    signed: dict[tuple[str, str], EvaluatedRun] = {}
    for run in runs:
        other = seen.setdefault((run.set, run.model), run)
        if other is not run:
            raise InputError(
                f"'{other.folder}' and '{run.folder}' are both called '{run.model}' on "
                f"'{run.set}': name one of them, as in NAME={run.folder}."
            )
        other = first.setdefault(run.set, run)
        if other.data_sha256 != run.data_sha256:
            raise InputError(
                f"'{other.folder}' and '{run.folder}' read different pictures under the name "
                f"'{run.set}': their numbers cannot be in one column."
            )
        for key, metric in run.metrics.items():
            other = signed.setdefault((run.set, key), run)
            if other.metrics[key]["signature"] != metric["signature"]:
                raise InputError(
                    f"The {key} of '{other.folder}' and '{run.folder}' cannot be in one column, "
                    f"since their signatures differ: {other.metrics[key]['signature']} and "
                    f"{metric['signature']}."
                )
