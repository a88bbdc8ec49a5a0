"""LaTeX as text: the formula in an answer, tokens, the normal form, validity.

In: LaTeX as people and models write it. Out: the formula, its tokens, its normal form, or whether it
is valid and where it is not.

Read `formula` (what is taken off an answer) and `tokens` (the token definition) first; then `normal`
with its tables `symbols` and its rules of spelling `spelling`; then `validity`. `compact` writes
tokens as people type them, `grammar` says which token may come next, `files` reads formulas from
files.
"""

from texlens.latex.formula import formula_of
from texlens.latex.normal import normalize
from texlens.latex.tokens import detokenize, tokenize
from texlens.latex.validity import Check, braces_balanced, check, katex_valid

__all__ = [
    "Check",
    "braces_balanced",
    "check",
    "detokenize",
    "formula_of",
    "katex_valid",
    "normalize",
    "tokenize",
]
