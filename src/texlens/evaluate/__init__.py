"""Evaluation: a recogniser reads a data set, and its predictions are scored.

In: a recogniser and a Parquet file of examples. Out: a folder with predictions, metrics and a page.

`recognisers` is the interface of all that reads, `run` evaluates one recogniser on one set, `suite` several
models on several sets, `unimer` one model on UniMER-Test, `demo` the pictures that come with the package.
`compare` puts predictions of several systems side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from texlens.lazy import lazy_names

if TYPE_CHECKING:
    from texlens.evaluate.recognisers import Recogniser
    from texlens.evaluate.run import DataSet, evaluate
    from texlens.evaluate.suite import evaluate_suite, load_suite

__all__ = ["DataSet", "Recogniser", "evaluate", "evaluate_suite", "load_suite"]

__getattr__ = lazy_names(
    __name__,
    {
        "DataSet": "texlens.evaluate.run",
        "Recogniser": "texlens.evaluate.recognisers",
        "evaluate": "texlens.evaluate.run",
        "evaluate_suite": "texlens.evaluate.suite",
        "load_suite": "texlens.evaluate.suite",
    },
)
