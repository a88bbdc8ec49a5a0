"""Rewrites of a formula that keep its picture, or change it: the rules of `metamorphic.py`.

A rule takes the tokens of a formula in normal form (every script and argument in braces) and gives
the rewritten LaTeX, or None where it does not apply. Rules that keep the picture rewrite every place
they find; rules that change it change one place, chosen at random.
"""

from rewrites import change, keep
from rewrites.formulas import OWN_FORMULAS
from rewrites.rule import RULES, Rule

__all__ = ["OWN_FORMULAS", "RULES", "Rule", "change", "keep"]
