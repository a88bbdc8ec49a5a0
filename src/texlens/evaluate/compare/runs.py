"""The systems to compare, and the check that their numbers may be in one column.

A system is a file of predictions, which is scored here, or a folder that `texlens score` or
`texlens evaluate` wrote. Systems that answered the same items form a set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from texlens.errors import InputError
from texlens.evaluate.suite import SUITE
from texlens.inputs import json_records, read_text
from texlens.latex import normalize
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.predictions import (
    PREDICTIONS,
    read_predictions,
    references_sha256,
    shown_id,
)
from texlens.metrics.registry import KEYS, check_keys
from texlens.metrics.report.files import MARKER, metrics_document
from texlens.metrics.scoring import Scoring, score_predictions
from texlens.records import Prediction
from texlens.runs import read_json


@dataclass(frozen=True)
class ScoredRun:
    """The scored predictions of one system on one set.

    `source` is its file or folder; `model` and `set` are the names that tables use; `document` is
    what its `metrics.json` contains.
    """

    source: Path
    model: str
    set: str
    document: dict[str, Any]
    scored: tuple[tuple[Prediction, dict[str, float | None]], ...] | None = None
    """Predictions and values where they were scored here, not in a folder."""

    @property
    def about(self) -> dict[str, Any]:
        """What an evaluation knows about its model; empty for predictions of unknown origin."""
        about: dict[str, Any] = self.document.get("run", {})
        return about

    @property
    def data_sha256(self) -> str | None:
        """A hash of the pictures and references, where an evaluation has read them."""
        return self.about.get("data_sha256")

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
        if self.scored is not None:
            return {prediction.id: prediction for prediction, _ in self.scored}
        return {p.id: p for p in read_predictions(self.source / PREDICTIONS)}

    @cached_property
    def values(self) -> dict[str, dict[str, float | None]]:
        """Every metric of every item, by id. Raises InputError when the file is damaged."""
        if self.scored is not None:
            return {prediction.id: values for prediction, values in self.scored}
        path = self.source / "items.jsonl"
        return {item["id"]: item["metrics"] for _, item in json_records(path, read_text(path))}

    @cached_property
    def references(self) -> dict[str, str]:
        """The references by id."""
        return {id_: prediction.gt for id_, prediction in self.predictions.items()}

    @cached_property
    def references_sha256(self) -> str:
        """A hash of ids and references: computed here, whichever version wrote the folder."""
        return references_sha256(self.references)


def open_run(folder: Path, *, model: str | None = None, set: str | None = None) -> ScoredRun:
    """The scores in a folder, named by the folder and its data unless names are given.

    Raises InputError when the folder holds no finished scores.
    """
    for name in (MARKER, "items.jsonl", PREDICTIONS):
        if not (folder / name).is_file():
            raise InputError(
                f"'{folder}' has no {name}: give files of predictions, or folders that `texlens "
                "score` or `texlens evaluate` has finished."
            )
    try:
        document = read_json(folder / MARKER)
        document["metrics"], document["n"], document["breakdown"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{folder / MARKER}' is not as TexLens writes it.") from error
    name = model or folder.resolve().name
    run = ScoredRun(folder, name, "", document)
    return replace(run, set=set or str(run.about.get("data") or _set_name(document)))


def score_file(
    path: Path,
    keys: Sequence[str],
    *,
    model: str | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> ScoredRun:
    """Score a file of predictions. Raises InputError as `read_predictions` does."""
    config = ScoringConfig(tuple(keys))
    predictions = read_predictions(path)
    scoring = score_predictions(predictions, config, workers=workers, self_test=True, quiet=quiet)
    return scored_here(path, model or path.stem, scoring)


def scored_here(source: Path, model: str, scoring: Scoring) -> ScoredRun:
    """A system that was scored in this process."""
    document = metrics_document(scoring)
    values = (item.values for item in scoring.items)
    items = tuple(zip(scoring.predictions, values, strict=True))
    return ScoredRun(source, model, _set_name(document), document, items)


def refuse_different(runs: Sequence[ScoredRun]) -> None:
    """Raise InputError, naming the first id that differs, unless all have the same references."""
    for run in runs[1:]:
        if run.references_sha256 != runs[0].references_sha256:
            raise InputError(_how_different(runs[0], run))


def _set_name(document: Mapping[str, Any]) -> str:
    count = document["n"]
    return "1 formula" if count == 1 else f"{count} formulas"


def find_runs(
    arguments: Sequence[str],
    *,
    metrics: Sequence[str] | str | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> list[ScoredRun]:
    """The systems of `PATH` or `NAME=PATH` arguments, in order.

    Args:
        arguments: each a file of predictions, a folder of scores, or the folder of a suite, which
            gives all its evaluations, with the suite's names.
        metrics: the keys by which files are scored; by default those of the folders, or all.
        workers: processes that share the scoring.
        quiet: show no progress.

    Raises:
        InputError: there is no such file or folder, or the references of systems differ.
    """
    found: list[ScoredRun | tuple[Path, str | None]] = []
    of_suites: list[ScoredRun] = []
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        named = bool(equals) and not Path(argument).exists()
        path = Path(rest if named else argument)
        if (path / SUITE).is_file():
            if named:
                raise InputError(
                    f"'{path}' is a suite, whose models have names: leave out '{name}='."
                )
            of_suites += _runs_of_suite(path)
            found += _runs_of_suite(path)
        elif path.is_dir():
            found.append(open_run(path, model=name if named else None))
        else:
            found.append((path, name if named else None))
    folders = [one for one in found if isinstance(one, ScoredRun)]
    scored = {key for run in folders for key in run.metrics}
    keys = check_keys(metrics if metrics is not None or not folders else sorted(scored & {*KEYS}))
    runs = [
        one
        if isinstance(one, ScoredRun)
        else score_file(one[0], keys, model=one[1], workers=workers, quiet=quiet)
        for one in found
    ]
    runs = _named_sets(runs)
    _refuse_lone_runs(runs, {run.source for run in of_suites})
    return runs


def _runs_of_suite(folder: Path) -> list[ScoredRun]:
    document = read_json(folder / SUITE)
    return [
        open_run(folder / set_name / model, model=model, set=set_name)
        for set_name, models in document["results"].items()
        for model in models
    ]


def _named_sets(runs: Sequence[ScoredRun]) -> list[ScoredRun]:
    """One name for runs on the same items, different names for different items."""
    sets: list[list[ScoredRun]] = []
    for run in runs:
        same = next((one for one in sets if _same_items(one, run)), None)
        if same is None:
            sets.append([run])
        else:
            same.append(run)
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for one in sets:
        # The name of a data set says more than a number of formulas.
        name = next((run.set for run in one if run.data_sha256), one[0].set)
        if name in taken:
            name = f"{name} ({(one[0].data_sha256 or one[0].references_sha256)[:6]})"
        taken.add(name)
        names |= {run.source: name for run in one}
    return [replace(run, set=names[run.source]) for run in runs]


def _same_items(runs: Sequence[ScoredRun], run: ScoredRun) -> bool:
    """Whether a run read the pictures of the others, or has their references."""
    pictures = {one.data_sha256 for one in runs if one.data_sha256}
    if pictures and run.data_sha256:
        return run.data_sha256 in pictures
    return runs[0].references_sha256 == run.references_sha256


def _refuse_lone_runs(runs: Sequence[ScoredRun], of_suites: set[Path]) -> None:
    """Raise InputError for a system that has nothing to be compared with."""
    for run in runs:
        others = [one for one in runs if one is not run]
        if not others or run.source in of_suites:
            continue
        if any(one.set == run.set or one.model == run.model for one in others):
            continue
        raise InputError(_how_different(others[0], run))


def _how_different(first: ScoredRun, second: ScoredRun) -> str:
    """A sentence with the first id at which two runs differ."""
    both = f"'{first.source}' and '{second.source}'"
    for one, other in ((first, second), (second, first)):
        for id_ in one.references:
            if id_ not in other.references:
                return (
                    f"{both} cannot be compared: only '{one.source}' has the id '{shown_id(id_)}'."
                )
    for id_, reference in first.references.items():
        if normalize(reference) != normalize(second.references[id_]):
            return (
                f"{both} cannot be compared: their references of the id '{shown_id(id_)}' differ."
            )
    return (
        f"{both} have the same references, but read different pictures: to show one model on several "
        "sets, give it the same name, as in NAME=PATH."
    )


def _without_version(run: ScoredRun, key: str) -> str:
    """A signature without the version of TexLens: all that changes a number has its own revision."""
    return re.sub(r"\|version:[^|]*", "", run.metrics[key]["signature"])


def check_comparable(runs: Sequence[ScoredRun]) -> None:
    """Check that every column of a table has numbers of one kind.

    Raises InputError when two runs have one name, when one name of a set is used for different
    items, or when a metric of a set was computed in two ways.
    """
    seen: dict[tuple[str, str], ScoredRun] = {}
    first: dict[str, ScoredRun] = {}
    signed: dict[tuple[str, str], ScoredRun] = {}
    for run in runs:
        other = seen.setdefault((run.set, run.model), run)
        if other is not run:
            raise InputError(
                f"'{other.source}' and '{run.source}' are both called '{run.model}' on "
                f"'{run.set}': name one of them, as in NAME={run.source}."
            )
        other = first.setdefault(run.set, run)
        if not _same_items([other], run):
            raise InputError(
                f"'{other.source}' and '{run.source}' read different pictures under the name "
                f"'{run.set}': their numbers cannot be in one column."
            )
        for key, metric in run.metrics.items():
            other = signed.setdefault((run.set, key), run)
            if _without_version(other, key) != _without_version(run, key):
                raise InputError(
                    f"The {key} of '{other.source}' and '{run.source}' cannot be in one column, "
                    f"since their signatures differ: {other.metrics[key]['signature']} and "
                    f"{metric['signature']}."
                )
