"""TexLens: pictures of formulas to LaTeX; metrics, data preparation and training for this task.

The five jobs are packages, each usable alone: `reading`, `metrics` (scoring), `data`, `train` and
`evaluate`. They build on `latex` (LaTeX as text), `engine` (MathJax and KaTeX), `render` (LaTeX as
pictures) and `model` (Qwen2.5-VL). `serve`, `export`, `pipeline` and `cli` use them.

The public names below are imported at first use, so that `import texlens` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.evaluate.compare import compare_systems
    from texlens.evaluate.recognisers import Recogniser
    from texlens.latex import check, tokenize
    from texlens.latex.one_or_many import normalize
    from texlens.metrics import score
    from texlens.metrics.functions import (
        bleu,
        cdm,
        edit_distance,
        exact_match,
        expression_rate,
        layout,
        rouge_l,
    )
    from texlens.reading import Reader, chat_messages, read

__version__ = "0.1.0"

_MODULES = {
    "Reader": "texlens.reading",
    "Recogniser": "texlens.evaluate.recognisers",
    "bleu": "texlens.metrics.functions",
    "cdm": "texlens.metrics.functions",
    "chat_messages": "texlens.reading",
    "check": "texlens.latex",
    "compare_systems": "texlens.evaluate.compare",
    "edit_distance": "texlens.metrics.functions",
    "exact_match": "texlens.metrics.functions",
    "expression_rate": "texlens.metrics.functions",
    "layout": "texlens.metrics.functions",
    "normalize": "texlens.latex.one_or_many",
    "read": "texlens.reading",
    "rouge_l": "texlens.metrics.functions",
    "score": "texlens.metrics",
    "tokenize": "texlens.latex",
}

__all__ = [
    "Reader",
    "Recogniser",
    "bleu",
    "cdm",
    "chat_messages",
    "check",
    "compare_systems",
    "edit_distance",
    "exact_match",
    "expression_rate",
    "layout",
    "normalize",
    "read",
    "rouge_l",
    "score",
    "tokenize",
]

__getattr__ = lazy_names(__name__, _MODULES)
