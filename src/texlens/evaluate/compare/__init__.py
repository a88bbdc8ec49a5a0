"""Systems side by side.

In: files of predictions, or folders of `texlens score` and `texlens evaluate`. Out: `compare.md`,
`compare.html` and `compare.json` with tables, significance, wins and losses.

In the order of the work: `runs` finds and scores the systems and refuses numbers that must not be in
one column, `significance` tests the differences, `gallery` chooses wins and losses, `tables` and
`reported_figures` make the tables, and `comparison` puts it together; `systems` is the same from Python.
"""

from __future__ import annotations

from texlens.evaluate.compare.comparison import compare
from texlens.evaluate.compare.runs import find_runs
from texlens.evaluate.compare.systems import Comparison, compare_systems

__all__ = ["Comparison", "compare", "compare_systems", "find_runs"]
