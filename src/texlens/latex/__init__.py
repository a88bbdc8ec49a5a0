"""LaTeX as text: tokens, the normal form, validity."""

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
