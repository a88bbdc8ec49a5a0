"""The data of the two reports: every set that their recipes name, in one command.

In: the name of a report, and local copies of the corpora that the hub does not have. Out: a folder
for each set, as `prepare` makes it. What differs from the report is in `departures`, which the
command prints and docs/reports.md explains. The commit of every fetched corpus is in its `dataset.json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from texlens.data.clean import Limits
from texlens.data.corpora import (
    HANDWRITTEN_SIZES,
    OUT_OF_DOMAIN_SIZES,
    PRINTED_SIZES,
    Corpus,
    open_corpus,
)
from texlens.data.items import Format, Sizes
from texlens.data.prepare import MARKER, Preparation, prepare
from texlens.errors import InputError
from texlens.runs import read_json
from texlens.workers import Workers

_NOT_ON_HUB = "hme100k"
_SEED = 42  # of the qwen-ocr report; the GRPO report has none


@dataclass(frozen=True)
class ReportSet:
    """A set of a report: a corpus, its sample, and the copies that it can be made from."""

    corpus: str
    sizes: Sizes
    order: str = "by_hash"
    subset: str | None = None
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The sets of a report by the names of their folders, and where they differ from the report."""

    sets: Mapping[str, ReportSet]
    departures: Sequence[str]


REPORTS = {
    "qwen-ocr": Report(
        {
            "printed": ReportSet(
                "latex-formulas", PRINTED_SIZES, "qwen_ocr_printed", copies=("latex-formulas",)
            ),
            "handwritten": ReportSet(
                "hmer", HANDWRITTEN_SIZES, "qwen_ocr_handwritten", copies=("crohme", "hme100k")
            ),
            "pix2tex": ReportSet(
                "unimer", OUT_OF_DOMAIN_SIZES, "qwen_ocr_spe", "spe", copies=("unimer",)
            ),
            "screen": ReportSet(
                "unimer", OUT_OF_DOMAIN_SIZES, "qwen_ocr_sce", "sce", copies=("unimer",)
            ),
        },
        (
            "Formulas are in TexLens's normal form, which keeps inner environments; the report removes "
            "every \\begin and \\end and tokenises with KaTeX.",
            "A formula must parse in KaTeX, and render as its original does; the report asks "
            "QuickLaTeX, a service on the web.",
            "Duplicates are left out, and no formula or picture is in two splits; the report has no "
            "such check.",
            "handwritten has the sizes that the report states; its scripts would give about "
            "1,760/220/220. They draw HME100K's pictures without a seed.",
        ),
    ),
    "latex-ocr": Report(
        {
            "latex-ocr": ReportSet("unsloth-latex-ocr", (1_000, 500, 200), copies=("latex-ocr",)),
        },
        (
            "The report does not state how it sampled its 1,000 training and 200 test items: here by "
            "a hash of each row with seed 42, test from the authors' test split.",
            "500 further rows of the training split are for dev, of which the report has none.",
            "Formulas are in TexLens's normal form.",
        ),
    ),
}


def copies_of(report: str, arguments: Sequence[str]) -> dict[str, Path]:
    """The local copies of `NAME=PATH` arguments.

    Raises InputError for one of another form, a name that the report does not use, or no such path.
    """
    copies = {name: Path(path) for name, path in _by_name(report, arguments, "PATH").items()}
    for path in copies.values():
        if not path.exists():
            raise InputError(f"There is no '{path}'.")
    return copies


def revisions_of(report: str, arguments: Sequence[str]) -> dict[str, str]:
    """The revisions of `NAME=REVISION` arguments, by corpora of the hub.

    Raises InputError for one of another form, or a name that the report does not fetch.
    """
    revisions = _by_name(report, arguments, "REVISION")
    if _NOT_ON_HUB in revisions:
        raise InputError("HME100K is not on the hub, and has no revisions there.")
    return revisions


def _by_name(report: str, arguments: Sequence[str], value: str) -> dict[str, str]:
    """The values of `NAME=VALUE` arguments by their names; a report of one corpus needs no name."""
    names = list(
        dict.fromkeys(name for one in REPORTS[report].sets.values() for name in one.copies)
    )
    values = {}
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        if not equals and len(names) == 1:
            name, rest = names[0], argument
        elif not equals or name not in names:
            raise InputError(
                f"'{argument}' is not NAME={value} with a name among {', '.join(names)}."
            )
        values[name] = rest
    return values


def prepare_report(
    name: str,
    copies: Mapping[str, Path],
    out: Path,
    limits: Limits,
    *,
    revisions: Mapping[str, str] = MappingProxyType({}),
    formats: tuple[Format, ...] = (),
    prompt: str = "plain",
    workers: int | Workers = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, dict[str, Any]]:
    """Make the sets of a report in sub-folders of `out`; the content of each `dataset.json`.

    Sets that were finished before with the same settings are kept. Every corpus is fetched, at the
    newest commit or its revision, and opened before the first is prepared.

    Raises InputError and TexlensError as `open_corpus` and `prepare` do.
    """
    plans = {
        folder: Preparation(
            _opened(one, copies, revisions),
            one.sizes,
            _SEED,
            limits,
            formats,
            prompt,
            one.order,
        )
        for folder, one in REPORTS[name].sets.items()
    }
    documents = {}
    for number, (folder, plan) in enumerate(plans.items(), 1):
        is_done = not force and _is_done(plan, out / folder)
        if not quiet:
            state = ": finished before" if is_done else ""
            print(f"{folder} ({number} of {len(plans)}){state}", file=sys.stderr, flush=True)
        if is_done:
            documents[folder] = read_json(out / folder / MARKER)
        else:
            documents[folder] = prepare(
                plan, out / folder, workers=workers, force=force, quiet=quiet
            )
    return documents


def _opened(one: ReportSet, copies: Mapping[str, Path], revisions: Mapping[str, str]) -> Corpus:
    paths = [copies[name] for name in one.copies if name in copies]
    revision = next((revisions[name] for name in one.copies if name in revisions), None)
    if one.corpus == "hmer" and _NOT_ON_HUB not in copies:
        raise InputError(
            "HME100K is not on the hub: get it from ai.100tal.com/dataset, and give its folder with "
            "--from hme100k=FOLDER."
        )
    return open_corpus(one.corpus, paths, subset=one.subset, seed=_SEED, revision=revision)


def _is_done(plan: Preparation, folder: Path) -> bool:
    if not (folder / MARKER).is_file():
        return False
    done = read_json(folder / MARKER)
    return all(done.get(key) == value for key, value in plan.as_json().items())
