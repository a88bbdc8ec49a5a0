"""Data: any corpus of the field as checked Parquet, and pictures that TexLens renders itself.

In: a corpus in the layout of its authors, a list of formulas, or nothing. Out: a data set (splits
in Parquet, `dropped.jsonl` and `dataset.json`), shards of pictures for pretraining, an audit.

Read `items` (the records) and `prepare` (the path from a corpus to a data set) first. On that path
are `corpora` (one module a corpus), `clean` (the checks of an item), `split` and `formats` (forms
for other trainers). `formulas` makes formulas and `pictures` renders them. `audit` and `preview`
look at data sets; `parquet` reads and writes files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texlens.data.clean import Limits
    from texlens.data.corpora import open_corpus
    from texlens.data.parquet import read_examples, write_examples
    from texlens.data.prepare import Preparation

_MODULES = {
    "Limits": "clean",
    "Preparation": "prepare",
    "open_corpus": "corpora",
    "read_examples": "parquet",
    "write_examples": "parquet",
}

__all__ = ["Limits", "Preparation", "open_corpus", "read_examples", "write_examples"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"texlens.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'texlens.data' has no attribute '{name}'")
