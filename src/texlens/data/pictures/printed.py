"""Printed formulas as training pictures: endless formulas, many fonts, packed shards.

A shard is one uncompressed ``.npz`` (`numpy.load`), written whole or not at all:

========= ======== =======================================================================
pixels    uint8    grey pictures (255 white), cropped to their ink, one after another
heights   int32    of each picture, in pixels
widths    int32    of each picture, in pixels
px_per_em float32  pixels in an em of the picture's type
formulas  uint8    the normal forms as UTF-8, joined by newlines
========= ======== =======================================================================

Shards appear one by one in a folder from which a trainer already reads. Every shard depends on the
seed and its number alone, so any number of processes writes the same, and those that are there
already are kept. On a training machine that has neither the command line's dependencies nor a
network:

    python -m texlens.data.pictures.printed --out DIR --pictures 500000 --processes 16 \\
        --source recombine:5:papers.txt --source list:1:book.txt --source grammar:1
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, cast, get_args

import numpy as np

from texlens.data.formulas.grammar import generate
from texlens.data.formulas.recombine import Recombiner
from texlens.data.pictures.printed_styles import Printed, choose_style, draw_printed
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.render.tex import FORMULAS_PER_RUN

Kind = Literal["list", "recombine", "grammar"]
RECOMBINED_FORMULAS = 20_000  # of a longer list: building a recombiner takes 0.1 ms a formula


@dataclass(frozen=True, slots=True)
class FormulaSource:
    """Where formulas come from, and how often beside others.

    ``list`` draws lines of the file at ``path``, ``recombine`` makes new formulas out of them,
    ``grammar`` needs no file.
    """

    kind: Kind
    weight: float = 1.0
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> FormulaSource:
        """Read ``kind:weight[:path]``. Raises InputError for anything else."""
        kind, _, rest = text.partition(":")
        weight, _, path = rest.partition(":")
        try:
            source = cls(cast(Kind, kind), float(weight), Path(path) if path else None)
        except ValueError as error:
            raise InputError(
                f"'{text}' is no source of formulas: give KIND:WEIGHT:FILE."
            ) from error
        if kind not in get_args(Kind) or (kind == "grammar") != (path == ""):
            raise InputError(
                f"'{text}' is no source of formulas: give list:WEIGHT:FILE, recombine:WEIGHT:FILE "
                "or grammar:WEIGHT."
            )
        return source

    def opened(self) -> Callable[[Random], str]:
        """A function that draws one formula in normal form.

        Raises InputError when the file is missing or holds no formula.
        """
        if self.path is None:
            return _grammar
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"'{self.path}' cannot be read as a list of formulas: {error}."
            ) from error
        formulas = [line for line in lines if line.strip()]
        if not formulas:
            raise InputError(f"'{self.path}' holds no formula: one is expected on each line.")
        if self.kind == "list":
            return lambda random: normalize(random.choice(formulas))
        if len(formulas) > RECOMBINED_FORMULAS:
            formulas = Random(0).sample(formulas, RECOMBINED_FORMULAS)
        return Recombiner(formulas).draw


def _grammar(random: Random) -> str:
    """Lengths as in papers (about 33 tokens in the middle, some to 200), any depth to 4."""
    length = min(int(random.lognormvariate(3.5, 0.7)), 200)
    return generate(random, tokens=length, depth=random.choice((0, 1, 2, 2, 3, 3, 4)))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a folder of shards is made of.

    Over the first ``growing`` shards the longest formula grows from ``first_tokens`` to
    ``max_tokens``: a model that begins with short formulas learns to read sooner.
    """

    sources: tuple[FormulaSource, ...]
    folder: Path
    pictures_per_shard: int = 6000
    seed: int = 0
    growing: int = 0
    first_tokens: int = 16
    max_tokens: int = 220

    def token_limit(self, number: int) -> int:
        """Tokens of the longest formula in a shard."""
        share = min(number / self.growing, 1.0) if self.growing else 1.0
        return round(self.first_tokens + share * (self.max_tokens - self.first_tokens))


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What became of one shard: pictures written, formulas that could not be drawn."""

    number: int
    pictures: int
    left_out: int


def write_shards(plan: Plan, shards: int, processes: int = 1) -> Iterator[ShardReport]:
    """Write shards 0 to ``shards - 1`` that are not there yet, reporting each as it is done.

    Raises:
        InputError: a list of formulas cannot be used; nothing was written.
    """
    for source in plan.sources:
        source.opened()
    plan.folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(shards) if not _shard_path(plan, n).exists()]
    if processes == 1:
        _start(plan)
        yield from map(_write_shard, missing)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _start, (plan,)) as pool:
        yield from pool.imap_unordered(_write_shard, missing)


def _shard_path(plan: Plan, number: int) -> Path:
    return plan.folder / f"shard-{number:05d}.npz"


# A worker's own: its plan and its opened sources.
_plan: Plan
_draws: list[Callable[[Random], str]]


def _start(plan: Plan) -> None:
    global _plan, _draws
    _plan, _draws = plan, [source.opened() for source in plan.sources]


def _write_shard(number: int) -> ShardReport:
    random = Random(f"{_plan.seed}/{number}")
    weights = [source.weight for source in _plan.sources]
    limit = _plan.token_limit(number)
    pictures: list[Printed] = []
    asked = 0
    while asked < _plan.pictures_per_shard:
        formulas: list[str] = []
        while len(formulas) < min(FORMULAS_PER_RUN, _plan.pictures_per_shard - asked):
            (draw,) = random.choices(_draws, weights)
            formula = draw(random)
            if "\n" not in formula and formula.count(" ") < limit:
                formulas.append(formula)
        asked += len(formulas)
        randoms = [Random(random.getrandbits(64)) for _ in formulas]
        drawn = draw_printed(formulas, choose_style(random), randoms)
        pictures.extend(picture for picture in drawn if isinstance(picture, Printed))
    write_shard(_shard_path(_plan, number), pictures)
    return ShardReport(number, len(pictures), asked - len(pictures))


def write_shard(path: Path, pictures: Sequence[Printed]) -> None:
    """Write pictures as one shard, in the module's format."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            pixels=np.concatenate([picture.grey.ravel() for picture in pictures]),
            heights=np.array([picture.grey.shape[0] for picture in pictures], dtype=np.int32),
            widths=np.array([picture.grey.shape[1] for picture in pictures], dtype=np.int32),
            px_per_em=np.array([picture.pixels_per_em for picture in pictures], dtype=np.float32),
            formulas=np.frombuffer(
                "\n".join(picture.formula for picture in pictures).encode(), dtype=np.uint8
            ),
        )
    partial.replace(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write shards from the command line, one line of progress a shard."""
    parser = argparse.ArgumentParser(description="Printed formulas as shards of training pictures.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, required=True)
    parser.add_argument("--source", action="append", required=True, help="KIND:WEIGHT[:FILE]")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--per-shard", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--growing", type=int, default=0)
    parser.add_argument("--first-tokens", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=220)
    given = parser.parse_args(arguments)
    plan = Plan(
        tuple(map(FormulaSource.parse, given.source)), given.out, given.per_shard, given.seed,
        given.growing, given.first_tokens, given.max_tokens,
    )  # fmt: skip
    shards = -(-given.pictures // given.per_shard)
    begin, drawn, left_out = time.monotonic(), 0, 0
    for report in write_shards(plan, shards, given.processes):
        drawn, left_out = drawn + report.pictures, left_out + report.left_out
        rate = drawn / (time.monotonic() - begin)
        print(
            f"shard {report.number}: {drawn} pictures, {left_out} left out, {rate:.0f}/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
