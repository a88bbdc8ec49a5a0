r"""The normal form: one spelling for formulas that look the same.

Tokens are separated by single spaces; arguments and scripts stand in braces (`x_1` is
`x _ { 1 }`), the subscript first; primes are `^ { \prime }`; braces without a visible effect are
removed; synonyms (`symbols.py`) have one spelling. No rule may move a glyph: a rule that cannot be
made safe is left out. The normal form of a normal form is itself.
"""

from __future__ import annotations

from texlens.latex.formula import strip, unwrap
from texlens.latex.parser import normal_tokens
from texlens.latex.tokens import detokenize, tokenize

REVISION = 3
"""Increased with every change that gives a formula another normal form."""


def normalize(latex: str) -> str:
    r"""Bring a formula to the normal form; never raises.

    Math delimiters, `equation` and the like are removed first (see `formula_of`). A formula that
    cannot be parsed, defines commands, or is too deep or too long comes back as its tokens, joined.
    """
    # A text box without its closing brace may leave a space at the end, which `unwrap` removes.
    return strip(detokenize(normal_tokens(tokenize(unwrap(latex)))))
