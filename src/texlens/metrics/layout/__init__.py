"""Our own metric of rendered formulas: how much of what a reader sees is wrong.

In: two LaTeX texts. Out: `layout`, 0..1 (`Layout`).

In the order of the work: `sequence` turns a drawing into `items`, signs and marks in reading order
(`glyphs` has the signs that look the same, `spacing` what is seen of white space, delimiters and
columns), `alignment` finds the least costly corrections between two sequences, and `metric` turns
their cost into a score.
"""

from __future__ import annotations

from texlens.metrics.layout.metric import Layout

__all__ = ["Layout"]
