"""LaTeX as text: tokens, the normal form, validity."""

from texlens.latex.normal import normalize
from texlens.latex.tokens import detokenize, tokenize
from texlens.latex.validity import Check, braces_balanced, check, katex_valid
from texlens.latex.wrappers import unwrap

__all__ = [
    "Check",
    "braces_balanced",
    "check",
    "detokenize",
    "katex_valid",
    "normalize",
    "tokenize",
    "unwrap",
]
