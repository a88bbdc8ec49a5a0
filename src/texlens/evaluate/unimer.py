"""`texlens evaluate --suite unimer`: the four parts of UniMER-Test, as papers report them.

Every picture counts, and references stay as they are spelled: nothing is cleaned, normalised or left
out, since the numbers of others are over all 23,757 pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from texlens.data.corpora import open_corpus
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.items import RawItem
from texlens.data.parquet import write_examples
from texlens.evaluate.recognisers import ModelReader, Recogniser
from texlens.evaluate.run import DataSet
from texlens.evaluate.suite import evaluate_sets
from texlens.metrics.batches import ScoringConfig
from texlens.records import Example
from texlens.tables import Table, number
from texlens.workers import Workers

PARTS = ("spe", "cpe", "sce", "hwe")
METRICS = ("bleu_unimer", "edit_unimer", "exact", "cdm", "exprate_cdm")
_ITEMS_AT_ONCE = 200


def evaluate_unimer(
    name: str,
    opens: Callable[[], Recogniser | ModelReader],
    out: Path,
    config: ScoringConfig,
    *,
    source: Path | None = None,
    limit: int | None = None,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Evaluate one model on every part, in folders `out/PART/NAME`, and write `suite.json`.

    Args:
        name: of the model, in the tables.
        opens: loads the model.
        out: the folder to write; `out/data` gets the pictures as Parquet.
        config: the metrics to compute.
        source: UniMER-Test, unpacked or as its zip file; None: from the hub.
        limit: only the first items of each part.
        workers: processes that share the scoring.
        force: replace a finished result.
        quiet: show no progress.

    Returns:
        The content of `suite.json`.

    Raises:
        InputError: there is no UniMER-Test at `source`, or as `evaluate` does.
        TexlensError: it could not be fetched.
    """
    sets = {}
    for part in PARTS:
        path = out / "data" / f"{part}.parquet"
        if not path.is_file() or force:
            corpus = open_corpus("unimer", [source] if source else [], subset=part)
            write_examples(path, _examples(corpus))
        sets[part] = DataSet(path, limit)
    return evaluate_sets(
        {name: opens}, sets, out, config, workers=workers, force=force, quiet=quiet
    )


def _examples(corpus: Corpus) -> Iterator[Example]:
    """Every picture with its line as it is spelled, in order."""
    locators = [one for one in corpus.locators() if isinstance(one, Locator)]
    for start in range(0, len(locators), _ITEMS_AT_ONCE):
        for item in corpus.load(locators[start : start + _ITEMS_AT_ONCE]):
            if isinstance(item, RawItem):
                yield Example(item.id, item.image, item.latex, item.source, item.kind)


def unimer_table(document: dict[str, Any]) -> Table:
    """The parts below one another, with the metrics that were computed."""
    rows = [
        (
            part,
            str(run["n"]),
            *(number(metric["value"], 3) for metric in run["metrics"].values()),
        )
        for part, runs in document["results"].items()
        for run in runs.values()
    ]
    (first, *_) = (run for runs in document["results"].values() for run in runs.values())
    return Table("UniMER-Test", ("part", "n", *first["metrics"]), tuple(rows))
