"""Finished evaluations side by side.

In: folders of `texlens evaluate`. Out: `compare.md`, `compare.html` and `compare.json` with tables,
significance against the first run, wins and losses.

In the order of the work: `runs` finds the evaluations and refuses numbers that must not be in one
column, `bootstrap` tests the differences, `gallery` chooses wins and losses, `tables` and
`reported_figures` make the tables, and `comparison` puts it together.
"""

from __future__ import annotations

from texlens.evaluate.compare.comparison import compare
from texlens.evaluate.compare.runs import find_runs

__all__ = ["compare", "find_runs"]
