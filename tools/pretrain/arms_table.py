"""A table of scores/ARM-SEED, as `texlens evaluate` writes them: `python arms_table.py SCORES ARM...`.

One row for each seed, arm and metric: the value, its 95 % interval, and the paired difference from the
first arm of that seed with its interval (bootstrap over items) and p (approximate randomisation,
corrected by Holm's method).
"""

from __future__ import annotations

import sys
from pathlib import Path

from texlens.evaluate.compare.runs import ScoredRun, open_run
from texlens.evaluate.compare.significance import set_statistics

METRICS = ("exprate", "exprate_1", "exprate_cdm", "edit_tokens", "layout")


def main() -> None:
    scores, arms = Path(sys.argv[1]), sys.argv[2:]
    finished = [path.parent.name for path in scores.glob("*/metrics.json")]
    print("seed", "arm", "metric", "n", "value", "95 %", "difference", "95 %", "p", sep="\t")
    for seed in sorted({name.rpartition("-")[2] for name in finished}):
        having = [arm for arm in arms if f"{arm}-{seed}" in finished]
        write(seed, [open_run(scores / f"{arm}-{seed}", model=arm) for arm in having])


def write(seed: str, runs: list[ScoredRun]) -> None:
    """The rows of one seed."""
    statistics = set_statistics(runs, METRICS)
    for metric in METRICS:
        for run in runs:
            value = statistics.values[run.model, metric]
            cells = [
                seed,
                run.model,
                metric,
                str(value.n),
                f"{value.value:.4f}",
                interval(value.ci),
            ]
            if run is not runs[0]:
                difference = statistics.differences[run.model, runs[0].model][metric]
                cells += [f"{difference.value:+.4f}", interval(difference.ci)]
                cells.append(f"{difference.p_holm:.4f}")
            print(*cells, sep="\t")


def interval(ci: tuple[float, float]) -> str:
    return f"{ci[0]:.3f} to {ci[1]:.3f}"


if __name__ == "__main__":
    main()
