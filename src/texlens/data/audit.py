"""Audit data sets: counts, lengths, sizes, duplicates, and leaks from one set to another.

A leak is an item of one set whose formula (in normal form) or picture (its ink, whatever the margin
and the file format) is also in another set.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from texlens.data.clean import hash_ink, ink_mask, to_grey
from texlens.data.formats import as_png
from texlens.data.items import SPLITS
from texlens.data.parquet import read_examples
from texlens.errors import InputError, require_extra
from texlens.images import data_address
from texlens.latex import normalize
from texlens.pages import render_page
from texlens.runs import open_out_folder, write_bytes, write_json, write_text

MARKER = "audit.json"
_SAMPLES = 24
_COMMONEST = 40


@dataclass
class SetReport:
    """The statistics of one set; hashes of its formulas and pictures, to compare sets."""

    name: str
    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    unreadable: int = 0
    formulas: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[str, str, bytes]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Counts and quantiles; no list that grows with the set."""
        return {
            "name": self.name,
            "count": self.count,
            "kinds": dict(sorted(self.kinds.items())),
            "unreadable_pictures": self.unreadable,
            "distinct_formulas": len(self.formulas),
            "repeated_formulas": self.count - len(self.formulas),
            "repeated_pictures": self.count - self.unreadable - len(self.pictures),
            "tokens": _quantiles(self.lengths),
            "width_px": _quantiles(self.widths),
            "height_px": _quantiles(self.heights),
            "commonest_tokens": dict(self.tokens.most_common(_COMMONEST)),
        }


def audit(paths: Sequence[Path], out: Path, *, force: bool = False) -> dict[str, Any]:
    """Audit sets (Parquet files, or folders of prepared splits) and write the pages to `out`.

    Writes `index.html`, `histograms.png`, and last `audit.json`, whose content is returned.
    Raises InputError when a path is not a set, and when `out` holds a finished audit and `force`
    is not set.
    """
    sets = _sets(paths)
    open_out_folder(out, marker=MARKER, force=force)
    try:
        reports = [_examine(path, name) for name, path in sets]
    except InputError:
        with contextlib.suppress(OSError):
            out.rmdir()  # if it is empty: nothing was written
        raise
    document = {
        "sets": [report.as_json() for report in reports],
        "leaks": [_leak(a, b) for n, a in enumerate(reports) for b in reports[n + 1 :]],
    }
    histograms = _histograms(reports)
    write_bytes(out / "histograms.png", histograms)
    write_text(out / "index.html", _page(reports, document, histograms))
    write_json(out / MARKER, document)
    return document


def _sets(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            splits = [path / f"{split}.parquet" for split in SPLITS]
            present = [split for split in splits if split.is_file()]
            if not present:
                raise InputError(f"'{path}' holds no train, validation or test.parquet.")
            found += [(f"{path.name}/{split.stem}", split) for split in present]
        elif path.is_file():
            found.append((path.stem, path))
        else:
            raise InputError(f"There is no '{path}'.")
    names = Counter(name for name, _ in found)
    return [
        (name if names[name] == 1 else f"{path.resolve().parent.name}/{path.stem}", path)
        for name, path in found
    ]


def _examine(path: Path, name: str) -> SetReport:
    report = SetReport(name)
    rng = np.random.default_rng(0)
    for example in read_examples(path):
        report.count += 1
        report.kinds[example.kind] += 1
        formula = normalize(example.latex_formula)
        tokens = formula.split(" ")
        report.tokens.update(tokens)
        report.lengths.append(len(tokens))
        report.formulas[formula] += 1
        try:
            with Image.open(io.BytesIO(example.image)) as picture:
                grey = to_grey(picture)
        except Exception:  # counted: a decoder fails in many ways on a broken file
            report.unreadable += 1
            continue
        report.heights.append(grey.shape[0])
        report.widths.append(grey.shape[1])
        ink = ink_mask(grey)
        report.pictures[hash_ink(grey, ink) if ink.any() else "blank"] += 1
        _sample(report, (example.id, formula, example.image), rng)
    return report


def _sample(report: SetReport, item: tuple[str, str, bytes], rng: np.random.Generator) -> None:
    """Reservoir sampling: every item has the same chance, in one pass."""
    if len(report.samples) < _SAMPLES:
        report.samples.append(item)
    else:
        place = int(rng.integers(report.count))
        if place < _SAMPLES:
            report.samples[place] = item


def _leak(outer: SetReport, inner: SetReport) -> dict[str, Any]:
    """How much of `inner` is also in `outer`, counted in items of `inner`."""
    formulas = sorted(inner.formulas.keys() & outer.formulas.keys())
    pictures = (inner.pictures.keys() & outer.pictures.keys()) - {"blank"}
    return {
        "of": inner.name,
        "also_in": outer.name,
        "items": inner.count,
        "by_formula": sum(inner.formulas[formula] for formula in formulas),
        "by_picture": sum(inner.pictures[picture] for picture in pictures),
        "examples": formulas[:10],
    }


def _quantiles(values: list[int]) -> dict[str, float]:
    if not values:
        return {}
    marks = (0, 5, 25, 50, 75, 95, 100)
    return {f"p{m}": float(v) for m, v in zip(marks, np.percentile(values, marks), strict=True)}


def _histograms(reports: list[SetReport]) -> bytes:
    require_extra("The histograms of an audit", "data", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    panels = (("lengths", "LaTeX tokens"), ("widths", "width (px)"), ("heights", "height (px)"))
    for axis, (attribute, title) in zip(axes, panels, strict=True):
        columns = [getattr(report, attribute) or [0] for report in reports]
        top = max(float(np.percentile(column, 99)) for column in columns) + 1
        # Whole numbers: otherwise some bins would count more of them.
        step = max(1, round(top / 40))
        bins = np.arange(0, top + step, step)
        for number, (report, column) in enumerate(zip(reports, columns, strict=True)):
            color = f"C{number % 10}"
            axis.hist(
                np.clip(column, 0, top),  # the last bin also counts what lies beyond
                bins, density=True, histtype="stepfilled", facecolor=(color, 0.15),
                edgecolor=color, label=report.name,
            )  # fmt: skip
        axis.set_xlabel(title)
        axis.set_yticks([])
    axes[0].set_ylabel("share of items")
    axes[-1].legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _page(reports: list[SetReport], document: dict[str, Any], histograms: bytes) -> str:
    samples = [
        (
            report.name,
            [(id, latex, data_address(as_png(image))) for id, latex, image in report.samples],
        )
        for report in reports
    ]
    return render_page(
        "texlens.data",
        "audit",
        title="Data audit",
        sets=document["sets"],
        leaks=document["leaks"],
        samples=samples,
        histograms=data_address(histograms),
    )
