"""Data: any corpus of the field as checked Parquet, and pictures that TexLens renders itself.

In: a corpus in the layout of its authors, a list of formulas, or nothing. Out: a data set (splits
in Parquet, `dropped.jsonl` and `dataset.json`), shards of pictures for pretraining, an audit.

Read `items` (the records) and `prepare` (the path from a corpus to a data set) first. On that path
are `corpora` (one module a corpus), `chunks` (cleaning in parallel) and `clean` (the checks of an
item), `sampling` and `orders` (which items), `split`, `formats` (forms for other trainers) and
`card`. `reports` makes all data of the two reports. `formulas` makes formulas and `pictures` renders
them. `audit` and `preview` look at data sets; `parquet` reads and writes files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.data.clean import Limits
    from texlens.data.corpora import open_corpus
    from texlens.data.parquet import read_examples, write_examples
    from texlens.data.prepare import Preparation

__all__ = ["Limits", "Preparation", "open_corpus", "read_examples", "write_examples"]

__getattr__ = lazy_names(
    __name__,
    {
        "Limits": "texlens.data.clean",
        "Preparation": "texlens.data.prepare",
        "open_corpus": "texlens.data.corpora",
        "read_examples": "texlens.data.parquet",
        "write_examples": "texlens.data.parquet",
    },
)
