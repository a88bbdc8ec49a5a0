"""The loop: read, draw, compare, accept, learn how glyphs were drawn, try the refused again.

The folder that is written:

    settings.json    what an interrupted run must share with the one that resumes it
    readings.jsonl   a line a picture: `id`, `readings` (likeliest first)
    glyphs-N.npz     the bitmaps that round N draws with
    proofs-N.jsonl   a line a picture that round N worked on, in no order
    labels.parquet   `id`, `latex_formula` (normal form), the evidence (`score`, `pixels`, `reading`)
                     and `weight`
    label.json       the counts; written last
"""

from __future__ import annotations

import contextlib
import json
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from texlens.data.labels.drawing import Grey
from texlens.data.labels.edits import shown
from texlens.data.labels.glyphs import GlyphTable, require_ghostscript
from texlens.data.labels.learning import GlyphKind, glyph_kinds, learn
from texlens.data.labels.pages import FormulaPage, formula_pages
from texlens.data.labels.proving import ACCEPT, Case, Prover
from texlens.data.parquet import count_examples, read_examples, read_ids
from texlens.errors import InputError, TexlensError
from texlens.latex import normalize, tokenize
from texlens.reading.pictures.opening import open_picture
from texlens.records import Example
from texlens.render.pdflatex import require_tex
from texlens.runs import (
    atomic_write,
    begin_or_resume,
    open_out_folder,
    progress,
    provenance,
    write_bytes,
    write_json,
)
from texlens.workers import map_in_workers

CHUNK: Final = 500  # pictures that one worker takes at a time
_EACH: Final = 12  # pictures that are to show a glyph, out of which it is learnt
_READING_ROUNDS: Final = 2
_LEARN_STEPS: Final = 2  # a better bitmap puts more pictures to the right size
_DONE: Final = "label.json"
_BEGUN: Final = ("settings.json", "readings.jsonl")

_SCHEMA: Final = pa.schema(
    {
        "id": pa.string(),
        "latex_formula": pa.string(),
        "score": pa.float32(),
        "pixels": pa.uint16(),
        "reading": pa.int8(),
        "weight": pa.float32(),
    }
)
_LENGTHS: Final = (15, 30, 60, 100)  # tokens: the groups of the weights


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is to be labelled, and how.

    Attributes:
        pictures: Parquet files; rows that have a `latex_formula` teach the glyphs, the others get
            labels.
        accept: the score below which a formula is proved, see `drawing.Difference`.
        rounds: each tries what was refused with the glyphs learnt from what was proved before, the
            first two the readings, later ones also small changes of them, which takes longer.
        limit: the number of pictures to label; None: all.
        seed: of the choice of pictures to learn from.
        readings: where the readings come from; a resumed run must have the same.
    """

    pictures: Sequence[Path]
    accept: float = ACCEPT
    rounds: int = 3
    limit: int | None = None
    seed: int = 0
    readings: str = ""


def label(
    job: Labelling,
    out: Path,
    read: Callable[[Iterable[Example]], Iterator[list[str]]],
    *,
    workers: int = 1,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Label pictures, resuming what a folder has; returns the content of `label.json`.

    `read` gives the readings of each picture, likeliest first.

    Raises InputError when a file cannot be used or two pictures have one id, TexlensError without TeX
    or Ghostscript, or when nothing could be proved.
    """
    require_tex()
    require_ghostscript()
    _check_ids(job.pictures)
    open_out_folder(out, marker=_DONE, force=force)
    if force:
        for old in out.glob("*.*"):
            if old.name in _BEGUN or old.stem.startswith(("proofs-", "glyphs-")):
                old.unlink()
    settings = {
        "pictures": [f"{path.name}: {count_examples(path)} rows" for path in job.pictures],
        "accept": job.accept,
        "limit": job.limit,
        "seed": job.seed,
        "readings": job.readings,
    }
    begin_or_resume(out / "settings.json", settings)
    readings = _read_all(job, out / "readings.jsonl", read, quiet)
    proofs: dict[str, dict[str, Any]] = {}
    for number in range(1, job.rounds + 1):
        table = out / f"glyphs-{number}.npz"
        if not table.exists():
            _learn(job, table, out / f"glyphs-{number - 1}.npz", readings, proofs)
        _prove(job, out, number, readings, proofs, workers, quiet)
    counts = _write_labels(out, proofs, readings)
    document = {**counts, "settings": settings, "provenance": provenance("pillow", "numpy")}
    write_json(out / _DONE, document)
    return document


def _check_ids(pictures: Sequence[Path]) -> None:
    """Results are kept by id. Raises InputError for one that two pictures have."""
    seen: set[str] = set()
    for path in pictures:
        for name in read_ids(path):
            if name in seen:
                raise InputError(f"'{path}': another picture has the id '{name}' too.")
            seen.add(name)


def grey_picture(image: bytes) -> Grey:
    """The grey values of an encoded picture. Raises InputError when it cannot be opened."""
    return np.array(open_picture(image).convert("L"))


def _examples(job: Labelling, *, labelled: bool) -> Iterator[Example]:
    count = 0
    for path in job.pictures:
        for example in read_examples(path):
            if bool(example.latex_formula) == labelled:
                if not labelled and job.limit is not None and count >= job.limit:
                    return
                count += 1
                yield example


def _read_all(
    job: Labelling,
    path: Path,
    read: Callable[[Iterable[Example]], Iterator[list[str]]],
    quiet: bool,
) -> dict[str, list[str]]:
    readings = {record["id"]: record["readings"] for record in _records(path)}
    todo = [example for example in _examples(job, labelled=False) if example.id not in readings]
    if not todo:
        return readings
    with path.open("a", encoding="utf-8") as file:
        for example, some in zip(
            progress(todo, total=len(todo), unit="pictures read", quiet=quiet),
            read(todo),
            strict=True,
        ):
            readings[example.id] = some
            print(json.dumps({"id": example.id, "readings": some}), file=file)
    return readings


def _records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON Lines; a last line that was cut short is taken off the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        write_bytes(path, content[:whole])
    return [json.loads(line) for line in content[:whole].splitlines()]


def _learn(
    job: Labelling,
    table: Path,
    before: Path,
    readings: dict[str, list[str]],
    proofs: dict[str, dict[str, Any]],
) -> None:
    """Learn bitmaps from what was proved, else from known labels, else from the first readings."""
    known: list[tuple[bytes, str]] = []
    if not proofs:
        known = [(e.image, e.latex_formula) for e in _examples(job, labelled=True)]
    if len(known) < CHUNK:
        for example in _examples(job, labelled=False):
            first = readings[example.id][:1]
            formula = proofs[example.id]["latex"] if proofs else "".join(first)
            if formula:
                known.append((example.image, formula))
    random.Random(job.seed).shuffle(known)
    known = _various(known)
    glyphs = GlyphTable()
    if before.exists():
        glyphs.load(before)
    pages = typeset_known(known, glyphs)
    for _ in range(_LEARN_STEPS):
        learn(pages, glyphs)
    glyphs.save(table)


def _various(known: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
    """Those that show something which fewer than `_EACH` before them show."""
    shown_by: Counter[GlyphKind] = Counter()
    kept = []
    for image, formula in known:
        kinds = glyph_kinds(formula)
        if any(shown_by[kind] < _EACH for kind in kinds):
            shown_by.update(kinds)
            kept.append((image, formula))
    return kept


def typeset_known(
    known: Sequence[tuple[bytes, str]], glyphs: GlyphTable
) -> list[tuple[Grey, FormulaPage]]:
    """Pictures with the pages of their formulas, for `learn`; what TeX refuses is left out."""
    pages = formula_pages([shown(formula) for _, formula in known])
    typeset: list[tuple[Grey, FormulaPage]] = []
    for (image, _), page in zip(known, pages, strict=True):
        if not isinstance(page, str):
            with contextlib.suppress(InputError):
                typeset.append((grey_picture(image), page))
    glyphs.add(character.glyph for _, page in typeset for character in page.characters)
    return typeset


def _prove(
    job: Labelling,
    out: Path,
    number: int,
    readings: dict[str, list[str]],
    proofs: dict[str, dict[str, Any]],
    workers: int,
    quiet: bool,
) -> None:
    """Work on every picture that has no label yet; `proofs` gets the results."""
    path = out / f"proofs-{number}.jsonl"
    done = {record["id"]: record for record in _records(path)}
    todo = [
        example
        for example in _examples(job, labelled=False)
        if example.id not in done and not proofs.get(example.id, {}).get("latex")
    ]
    chunks = [
        [
            (example.id, example.image, readings[example.id])
            for example in todo[first : first + CHUNK]
        ]
        for first in range(0, len(todo), CHUNK)
    ]
    make = partial(_worker, out / f"glyphs-{number}.npz", job.accept, number > _READING_ROUNDS)
    with path.open("a", encoding="utf-8") as file:
        for records in progress(
            map_in_workers(make, chunks, workers), total=len(chunks), unit="chunks", quiet=quiet
        ):
            for record in records:
                done[record["id"]] = record
                print(json.dumps(record), file=file)
            file.flush()
    proofs.update(done)


_Chunk = list[tuple[str, bytes, list[str]]]


def _worker(table: Path, accept: float, edit: bool) -> Callable[[_Chunk], list[dict[str, Any]]]:
    glyphs = GlyphTable()
    glyphs.load(table)
    return partial(_prove_chunk, Prover(glyphs, accept), edit)


def _prove_chunk(prover: Prover, edit: bool, chunk: _Chunk) -> list[dict[str, Any]]:
    cases = []
    for name, image, readings in chunk:
        try:
            cases.append(Case(name, grey_picture(image), readings))
        except InputError:  # nothing can be proved of it
            cases.append(Case(name, np.zeros((1, 1), np.uint8), ()))
    prover.prove(cases, edit=edit)
    return [
        {
            "id": case.id,
            "latex": case.latex,
            "score": case.score if np.isfinite(case.score) else None,
            "pixels": case.pixels,
            "reading": case.reading,
        }
        for case in cases
    ]


def _write_labels(
    out: Path, proofs: dict[str, dict[str, Any]], readings: dict[str, list[str]]
) -> dict[str, int]:
    """Write the labels in the order of the pictures.

    Long formulas are proved less often than short ones. The weight of a label is the number of
    pictures of its length, by the first reading, for each that has a label.
    """
    order = [proofs[name] for name in readings if name in proofs]
    lengths = [_length_group(readings[proof["id"]]) for proof in order]
    pictures = Counter(lengths)
    labelled = Counter(n for n, proof in zip(lengths, order, strict=True) if proof["latex"])
    rows = [
        {
            "id": proof["id"],
            "latex_formula": normalize(proof["latex"]),
            "score": proof["score"],
            "pixels": min(proof["pixels"], 65535),
            "reading": proof["reading"],
            "weight": pictures[length] / labelled[length],
        }
        for length, proof in zip(lengths, order, strict=True)
        if proof["latex"]
    ]
    if not rows:
        raise TexlensError("No formula could be proved: are these pictures of im2latex-100k?")
    with atomic_write(out / "labels.parquet") as file:
        table = pa.Table.from_pylist(rows, schema=_SCHEMA)
        pq.write_table(table, file, compression="zstd", compression_level=19, use_dictionary=False)
    return {"pictures": len(order), "labelled": len(rows), "refused": len(order) - len(rows)}


def read_labels(path: Path) -> dict[str, tuple[str, float]]:
    """The formula and the weight of each picture that a file of labels names.

    Raises InputError for a file that was not written here.
    """
    try:
        rows = pq.read_table(path, columns=["id", "latex_formula", "weight"]).to_pylist()
        return {row["id"]: (str(row["latex_formula"]), float(row["weight"])) for row in rows}
    except (OSError, pa.ArrowException, TypeError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"'{path}' holds no labels of `texlens data label`: {reason}.") from error


def _length_group(readings: Sequence[str]) -> int:
    return bisect_left(_LENGTHS, len(tokenize(readings[0]))) if readings else 0
