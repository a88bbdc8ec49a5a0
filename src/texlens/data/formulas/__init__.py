"""Formulas to render: taken from a list, made out of the formulas of a list, or from a grammar.

In: a file with a formula on each line, or nothing; a random generator. Out: formulas in normal
form; the same state of the generator gives the same formula.

Read `sources` first (every kind of source, and how one is named on the command line), then
`grammar` (`generate`), and `recombine` (`Recombiner`) with the `tree` of slots that it cuts and
joins. `symbols` says which symbols can replace each other.
"""

from __future__ import annotations

from texlens.data.formulas.grammar import generate
from texlens.data.formulas.recombine import Recombiner
from texlens.data.formulas.sources import SOURCE_KINDS, FormulaSource

__all__ = ["SOURCE_KINDS", "FormulaSource", "Recombiner", "generate"]
