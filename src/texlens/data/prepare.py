"""From a corpus to a data set: sample, clean in parallel, split once, write in order.

A run's folder while it works:

    .work/settings.json      the settings; a run is resumed with the same settings only
    .work/chunk-0002400-8f1c2a9d.parquet   the outcome of up to 200 items

A chunk is written atomically and named by the number of its first item and a digest of its locators,
so that the chunks of a corpus whose list of items changed in between are not used. Chunks do not
depend on one another nor on the number of workers, so a run that was killed resumes from the chunks
that exist, and ends with the same bytes as one that was not. `dataset.json` is written last: a folder that has
it is finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from texlens.addresses import reason, remove_folder
from texlens.data.card import write_card
from texlens.data.chunks import TEXTS, Chunks, storable
from texlens.data.clean import Limits
from texlens.data.corpora.base import Corpus, Locator
from texlens.data.formats import write_format
from texlens.data.items import FORMATS, SPLITS, Drop, Format, Sizes
from texlens.data.orders import ORDERS
from texlens.data.parquet import write_examples
from texlens.data.sampling import choose, missing
from texlens.data.split import Key, Outcome, assign, formula_key
from texlens.errors import InputError, TexlensError
from texlens.records import Example
from texlens.render.pdflatex import require_tex
from texlens.runs import (
    begin_or_resume,
    hold_folder,
    open_out_folder,
    provenance,
    write_json,
    write_json_lines,
)
from texlens.workers import Workers, as_workers

MARKER = "dataset.json"
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class Preparation:
    """All that decides the bytes of a data set, apart from the files of the corpus.

    `sizes` None keeps every item; else `order`, a key of `ORDERS`, decides which are the sample.
    """

    corpus: Corpus
    sizes: Sizes | None
    seed: int
    limits: Limits
    formats: tuple[Format, ...] = ()
    prompt: str = "plain"
    order: str = "by_hash"

    def as_json(self) -> dict[str, Any]:
        """The settings as recorded in `dataset.json`, without the paths of this machine."""
        return {
            "source": self.corpus.name,
            "hub": [origin.as_json() for origin in self.corpus.origins],
            "sizes": dict(zip(SPLITS, self.sizes, strict=True)) if self.sizes else None,
            "order": self.order if self.sizes else None,
            "seed": self.seed,
            "limits": self.limits.model_dump(),
            "formats": list(self.formats),
            "prompt": self.prompt,
        }


def prepare(
    preparation: Preparation,
    out: Path,
    *,
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make the data set in `out` and return the content of its `dataset.json`.

    Raises InputError when the corpus or the folder cannot be used, TexlensError when the work ends
    early (a full disk, a killed worker); what is done by then is kept, and the same call resumes.
    """
    hold_folder(open_out_folder(out, marker=MARKER, force=force))
    work = out / ".work"
    if force:
        remove_folder(work)
    if preparation.limits.tex:
        require_tex()
    try:
        detail = {"detail": repr(preparation.corpus), "versions": provenance("pyarrow")}
        begin_or_resume(work / _SETTINGS, preparation.as_json() | detail)
        located = list(preparation.corpus.locators())
        drops = [one for one in located if isinstance(one, Drop)]
        locators = [one for one in located if isinstance(one, Locator)]
        chunks = Chunks(preparation.corpus, preparation.limits, work.absolute(), locators)
        outcomes = _sample(preparation, chunks, as_workers(workers), quiet)
        document = _finish(preparation, out, chunks, drops, outcomes)
    except InputError:
        _leave_as_it_was(out, work)
        raise
    except OSError as error:
        where = error.filename or out
        raise TexlensError(
            f"Cannot write to '{where}': {reason(error)}. Run the same command to resume."
        ) from error
    remove_folder(work)
    return document


def check_faults(*documents: Mapping[str, Any]) -> None:
    """Raise TexlensError where items are missing by a fault of TexLens: a check of it failed or died.

    A command calls it last, with what `prepare` returned: the data sets are complete without these items.
    """
    faults = sum(sum(document["dropped"].get("fault", {}).values()) for document in documents)
    if faults:
        raise TexlensError(
            f"Items that are missing because of faults of TexLens: {faults}. See step 'fault' in "
            "dropped.jsonl; all others are in the data set."
        )


def _leave_as_it_was(out: Path, work: Path) -> None:
    """Remove the folders of a run that a wrong input ended before its first chunk."""
    if not any(work.glob("chunk-*")):
        (work / _SETTINGS).unlink(missing_ok=True)
        for folder in (work, out):
            with contextlib.suppress(
                OSError, NotImplementedError
            ):  # not empty: it holds files of others
                folder.rmdir()


def _sample(
    preparation: Preparation, chunks: Chunks, workers: Workers, quiet: bool
) -> Mapping[int, Outcome]:
    """Clean as many items as are needed; the split of each, or why it has none."""
    if preparation.sizes is None:
        chunks.clean(range(len(chunks.locators)), workers, quiet)
        keys = {number: key for number, key in _keys(chunks).items() if key is not None}
        splits = assign(list(keys.values()), preparation.seed)
        return dict(zip(keys, splits, strict=True))
    queues = ORDERS[preparation.order](chunks.locators, preparation.seed)
    cleaned: dict[int, Key | None] = {}
    while True:
        choice = choose(queues, preparation.sizes, cleaned)
        numbers = missing(queues, choice, cleaned)
        if not numbers:
            return choice.outcomes
        chunks.clean(numbers, workers, quiet)
        cleaned = _keys(chunks)


def _keys(chunks: Chunks) -> dict[int, Key | None]:
    """The key of every cleaned item, None for one that was dropped."""
    return {
        number: Key(
            formula_key(row["latex_formula"]), bytes.fromhex(row["picture_hash"]), row["split"]
        )
        if row["step"] is None
        else None
        for number, row in chunks.rows("step", "latex_formula", "picture_hash", "split")
    }


def _finish(
    preparation: Preparation,
    out: Path,
    chunks: Chunks,
    located: list[Drop],
    outcomes: Mapping[int, Outcome],
) -> dict[str, Any]:
    """Write the splits and `dataset.json`, whose content is returned."""
    drops = [asdict(drop) | storable(drop) for drop in located]
    names: dict[int, str] = {}
    sources: Counter[tuple[str, str]] = Counter()
    verified: Counter[bool | None] = Counter()
    for number, row in chunks.rows(*TEXTS, "verified"):
        outcome = outcomes.get(number)
        if row["step"] is not None:
            drops.append({"id": row["id"], "step": row["step"], "reason": row["reason"]})
        elif isinstance(outcome, tuple):
            drops.append({"id": row["id"], "step": outcome[0], "reason": outcome[1]})
        elif outcome is not None:
            names[number] = row["id"]
            verified[row["verified"]] += 1
            sources[row["source"], outcome] += 1
    for part in out.glob(".*.part"):
        part.unlink()  # of a run that was killed while it wrote
    unique = dict(zip(names, _unique(list(names.values())), strict=True))
    counts = {}
    for wanted in SPLITS:
        path = out / f"{wanted}.parquet"
        path.unlink(missing_ok=True)
        if any(outcome == wanted for outcome in outcomes.values()):
            counts[wanted] = write_examples(
                path,
                (
                    Example(
                        unique[number],
                        row["image"],
                        row["latex_formula"],
                        row["source"],
                        row["kind"],
                    )
                    for number, row in chunks.rows()
                    if outcomes.get(number) == wanted
                ),
            )
    for form in FORMATS:
        remove_folder(out / form)  # of an earlier run with other settings
    for form in preparation.formats:
        for name in counts:
            write_format(out, name, form, preparation.prompt)
    write_json_lines(out / "dropped.jsonl", drops)
    document = {
        **preparation.as_json(),
        "counts": counts,
        "sources": {
            source: {split: sources[source, split] for split in counts}
            for source in sorted({source for source, _ in sources})
        },
        "not_sampled": len(chunks.locators) + len(located) - len(names) - len(drops),
        "dropped": _summary(drops),
        "verified_by_picture": verified[True],
        "not_comparable": verified[None],
        "ids_made_unique": sum(times > 1 for times in Counter(names.values()).values()),
        "versions": provenance("pyarrow", "mini-racer", "pillow", "numpy"),
        "content_hash": _content_hash([out / f"{name}.parquet" for name in counts]),
    }
    write_card(out, document)
    write_json(out / MARKER, document)
    return document


def _unique(names: list[str]) -> list[str]:
    """The ids, those that come more than once with a number: `name#1`, `name#2`."""
    times = Counter(names)
    repeated = {name for name, n in times.items() if n > 1}
    mark = "#"
    while any(f"{name}{mark}{n + 1}" in times for name in repeated for n in range(times[name])):
        mark += "#"  # a numbered id must not be one that exists
    count = {name: itertools.count(1) for name in repeated}
    return [f"{name}{mark}{next(count[name])}" if name in repeated else name for name in names]


def _summary(drops: list[dict[str, str]]) -> dict[str, dict[str, int]]:
    """Step -> reason -> how many, reasons without what follows a colon or bracket."""
    summary: dict[str, Counter[str]] = {}
    for drop in drops:
        reason = drop["reason"].split(":")[0].split(" (")[0]
        summary.setdefault(drop["step"], Counter())[reason] += 1
    return {step: dict(sorted(reasons.items())) for step, reasons in sorted(summary.items())}


def _content_hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
