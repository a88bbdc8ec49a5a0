"""LaTeX as text: tokens, the normal form, validity."""

from texlens.latex.normal import normalize
from texlens.latex.tokens import detokenize, tokenize
from texlens.latex.wrappers import unwrap

__all__ = ["detokenize", "normalize", "tokenize", "unwrap"]
