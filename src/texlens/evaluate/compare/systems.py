"""Systems compared from Python: the tables and the tests, without a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from texlens.errors import InputError
from texlens.evaluate.compare.runs import (
    ScoredRun,
    check_comparable,
    open_run,
    refuse_different,
    score_file,
    scored_here,
)
from texlens.evaluate.compare.significance import Difference, SetStatistics, Value, set_statistics
from texlens.evaluate.compare.tables import pairs_table, set_tables
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.registry import KEYS, check_keys
from texlens.metrics.scoring import Pairs, as_predictions, score_predictions, shows_progress
from texlens.notebook import tables_html
from texlens.tables import Table


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Several systems on the same items; the first is the base.

    `values` maps (system, metric) to a value with its interval; `differences` maps (system, other
    system) and then metric to the first minus the second; `left_out` counts for each metric the
    items without a value in some system.
    """

    systems: tuple[str, ...]
    values: Mapping[tuple[str, str], Value]
    differences: Mapping[tuple[str, str], Mapping[str, Difference]]
    left_out: Mapping[str, int]
    tables: tuple[Table, ...]

    def __repr__(self) -> str:
        items = max((value.n for value in self.values.values()), default=0)
        return f"Comparison({', '.join(self.systems)}; {items} items)"

    def __str__(self) -> str:
        return "\n\n".join(table.markdown() for table in self.tables)

    def _repr_html_(self) -> str:
        return tables_html(self.tables)


def compare_systems(
    systems: Mapping[str, str | Path | Iterable[Pairs]],
    metrics: Sequence[str] | str | None = None,
    *,
    workers: int = 1,
    progress: bool | None = None,
) -> Comparison:
    """Compare what several systems recognised, with intervals and tests of significance.

    Args:
        systems: by name, each a file of predictions, a folder that `texlens score` or `texlens
            evaluate` wrote, or pairs as `texlens.score` takes them. The first is the base.
        metrics: the keys to compute; by default those of the folders, or all.
        workers: processes that share the scoring.
        progress: whether to show bars; None: in a notebook, for many items.

    Raises:
        TypeError: `systems` is no mapping.
        InputError: a system cannot be read, or the systems have different references or metrics.
    """
    if not isinstance(systems, Mapping):
        raise TypeError(f"systems must map names to systems, not be a {type(systems).__name__}.")
    if not systems:
        raise InputError("There is nothing to compare: systems is empty.")
    folders = {
        name: open_run(Path(source), model=name)
        for name, source in systems.items()
        if isinstance(source, str | Path) and Path(source).is_dir()
    }
    known = {key for run in folders.values() for key in run.metrics}
    keys = check_keys(metrics if metrics is not None or not folders else sorted(known & {*KEYS}))
    runs: list[ScoredRun] = []
    for name, source in systems.items():
        if name in folders:
            runs.append(folders[name])
        elif isinstance(source, str | Path):
            quiet = not progress
            runs.append(score_file(Path(source), keys, model=name, workers=workers, quiet=quiet))
        else:
            predictions = as_predictions(source)
            quiet = not shows_progress(progress, len(predictions))
            config = ScoringConfig(keys)
            scoring = score_predictions(predictions, config, workers=workers, quiet=quiet)
            runs.append(scored_here(Path(name), name, scoring))
    refuse_different(runs)
    check_comparable(runs)
    found: SetStatistics = set_statistics(runs, keys)
    tables = [*set_tables(runs, found, runs[0].model), pairs_table(runs, found)]
    return Comparison(
        tuple(systems), found.values, found.differences, found.left_out, tuple(tables)
    )
