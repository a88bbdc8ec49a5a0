"""The results of several seeds of one experiment, together.

    python benchmarks/across_seeds.py runs/stages-0 runs/stages-1 runs/stages-2 \\
        --change base_handwritten:stage1_handwritten stage1_handwritten:stage2_handwritten

Every folder holds the `values.json` of one seed (`two_stages.py`, `rl_arms.py`), over the same
pictures. For every measure: both values, averaged; the change of every seed; their mean with its
95 % bootstrap interval over pictures (each picture's change averaged over seeds first); the minimum
detectable effect at 80 % power; and the standard deviation between seeds, which the interval does
not include.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from paired import cell, changes, mean, read_values, summary
from texlens.tables import markdown_table, number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--change", nargs="+", required=True, metavar="BEFORE:AFTER")
    parser.add_argument("--measures", nargs="+", default=None)
    arguments = parser.parse_args()
    seeds = [read_values(folder) for folder in arguments.runs]
    for pair in arguments.change:
        before, _, after = pair.partition(":")
        print(f"\n{before} to {after}, n {len(seeds[0][before]['exact'])}, {len(seeds)} seeds\n")
        rows = []
        for measure in arguments.measures or seeds[0][before]:
            levels = [np.mean([mean(s[name][measure]) for s in seeds]) for name in (before, after)]
            change = np.array([changes(s[before][measure], s[after][measure]) for s in seeds])
            found = summary(change.mean(axis=0))
            each = np.nanmean(change, axis=1)
            deviation = f"{each.std(ddof=1):.3f}" if len(each) > 1 else "-"
            by_seed = ", ".join(f"{value:+.3f}" for value in each)
            rows.append((measure, *map(number, levels, (3, 3)), by_seed, cell(found), deviation))
        header = ("measure", "before", "after", "seeds", "mean [95 %], detectable", "deviation")
        print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
