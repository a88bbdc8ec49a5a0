"""Real ink as training pictures: symbols change writers and names, and shards are packed.

CROHME has ten thousand inks and a model that reads them has seen each a hundred times. Its files
say which strokes make which symbol, so every ink can be written anew: a symbol takes the strokes
that another writer gave the same one, and all of one name in a formula take another name of like
shape ("a" to "n", "3" to "7"), in the ink and in the LaTeX. What is laid out in space (fraction
bars, roots, sums, fences) stays as it was written. The whole is then sheared, turned and stretched.

Shards have the format of `texlens.data.pictures.printed`; every shard depends on the seed and its number
alone. Beside a trainer:

    python -m texlens.data.pictures.mixed_ink --out DIR --ink TrainINKML --captions train.tsv \\
        --pictures 200000 --processes 8 [--only PREPARED.parquet]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from texlens.data.corpora.crohme import Crohme
from texlens.data.items import Drop
from texlens.data.parquet import read_examples
from texlens.data.pictures.ink import Ink, InkError, InkStyle, Stroke, draw_ink, parse_inkml
from texlens.data.pictures.printed import write_shard
from texlens.data.pictures.printed_styles import Grey, Printed, crop_to_ink
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.reading.pictures.type_size import type_size

# Symbols that may take each other's place: of one height, and with nothing hung on their shape.
_ALIKE: Final = (
    (*tuple("acemnorsuvwxz"), r"\alpha", r"\sigma", r"\pi", r"\theta"),
    tuple("0123456789"),
    (*tuple("bdfhklt"), r"\lambda"),
    (*tuple("ABCEFGHILMNPRSTVXY"), r"\Delta"),
    (*tuple("gpqyj"), r"\mu", r"\gamma", r"\beta", r"\phi"),
)
_CLASS: Final = {name: kind for kind, names in enumerate(_ALIKE) for name in names}
_SMALL: Final = InkStyle(symbol_px=14.0, line_px=1.3, max_side_px=900)
_MAX_HEIGHT_PX: Final = 420
_EM_SYMBOLS: Final = 2.5  # an em, in typical symbols; for an ink without anything letter-like


@dataclass(frozen=True, slots=True)
class Written:
    """An ink with its formula in normal form."""

    ink: Ink
    formula: str


@dataclass(frozen=True, slots=True)
class Mixing:
    """How far inks are changed.

    swap: share of the symbols that take another writer's strokes.
    rename: share of the names in a formula that become another name.
    untouched: share of the inks whose symbols are left alone.
    turn: largest turn, in radians; stretch: largest change of width against height, as a factor.
    """

    swap: float = 0.4
    rename: float = 0.25
    untouched: float = 0.4
    turn: float = 0.06
    stretch: float = 1.2


class InkMixer:
    """Makes new inks out of given ones; `mix` picks one at random."""

    def __init__(self, inks: Sequence[Written], mixing: Mixing | None = None) -> None:
        self.inks = inks
        self.mixing = mixing or Mixing()
        self.symbols: dict[str, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
        for number, written in enumerate(inks):
            for name, places in written.ink.symbols:
                if name in _CLASS:
                    self.symbols[name].append((number, places))

    def mix(self, rng: np.random.Generator) -> tuple[list[Stroke], str]:
        """The strokes and the formula of a new ink."""
        written = self.inks[int(rng.integers(len(self.inks)))]
        strokes, formula = list(written.ink.strokes), written.formula
        if rng.random() >= self.mixing.untouched:
            names = self._new_names(written, rng)
            formula = " ".join(names.get(token, token) for token in formula.split())
            for name, places in written.ink.symbols:
                new = names.get(name, name)
                if new != name or (name in _CLASS and rng.random() < self.mixing.swap):
                    drawn = self._drawn_by_another(new, [strokes[i] for i in places], rng)
                    strokes[places[0]] = drawn[0]
                    strokes += drawn[1:]
                    for place in places[1:]:
                        strokes[place] = np.empty((0, 2))
        return self._bent([stroke for stroke in strokes if len(stroke)], rng), formula

    def _new_names(self, written: Written, rng: np.random.Generator) -> dict[str, str]:
        """Names to replace; only those found as often in the ink as in the formula."""
        tokens = written.formula.split()
        inked = [name for name, _ in written.ink.symbols]
        new = {}
        for name in sorted(set(inked) & _CLASS.keys()):
            if rng.random() < self.mixing.rename and tokens.count(name) == inked.count(name):
                other = [n for n in _ALIKE[_CLASS[name]] if n in self.symbols and n not in tokens]
                if other:
                    new[name] = other[int(rng.integers(len(other)))]
        return new

    def _drawn_by_another(
        self, name: str, old: Sequence[Stroke], rng: np.random.Generator
    ) -> list[Stroke]:
        """Somebody's strokes for a symbol, of the height and in the place of the old ones."""
        instances = self.symbols[name]
        number, places = instances[int(rng.integers(len(instances)))]
        fresh = [self.inks[number].ink.strokes[place] for place in places]
        (low, size), (fresh_low, fresh_size) = _box(old), _box(fresh)
        # By height, as a line of writing is; a flat scrawl by its longer side.
        scale = max(size[1], 0.5 * size[0]) / max(fresh_size[1], 0.5 * fresh_size[0], 1e-9)
        middle, fresh_middle = low + size / 2, fresh_low + fresh_size / 2
        return [(stroke - fresh_middle) * scale + middle for stroke in fresh]

    def _bent(self, strokes: Sequence[Stroke], rng: np.random.Generator) -> list[Stroke]:
        angle = rng.uniform(-1, 1) * self.mixing.turn
        stretch = float(np.exp(rng.uniform(-1, 1) * np.log(self.mixing.stretch)))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return [stroke @ turn * np.array([stretch, 1 / stretch]) for stroke in strokes]


def _box(strokes: Sequence[Stroke]) -> tuple[Stroke, Stroke]:
    """Upper left corner and size of strokes."""
    points = np.concatenate(strokes)
    return points.min(axis=0), np.ptp(points, axis=0)


def read_inks(folder: Path, captions: Path | None, only: Path | None = None) -> list[Written]:
    """The usable inks under a folder of CROHME, with their formulas.

    `only`: a prepared Parquet file; inks whose ids it lacks are left out.

    Raises InputError when there is none.
    """
    ids = None if only is None else {example.id for example in read_examples(only)}
    inks = []
    for locator in Crohme(folder, captions).locators():
        if isinstance(locator, Drop):
            continue
        path, caption = locator
        if ids is not None and path.removesuffix(".inkml") not in ids:
            continue
        try:
            ink = parse_inkml((folder / path).read_bytes())
        except InkError:
            continue
        formula = normalize(caption or ink.reference)
        if formula and "\n" not in formula:
            inks.append(Written(ink, formula))
    if not inks:
        raise InputError(f"No ink under '{folder}' can be used.")
    return inks


def draw_written(strokes: Sequence[Stroke], formula: str, rng: np.random.Generator) -> Printed:
    """A picture of strokes with some pen, its size of type measured as a reader measures it."""
    grey: Grey | None = None
    style = _SMALL
    while grey is None or grey.shape[0] > _MAX_HEIGHT_PX:
        style = style.vary(rng)
        grey = crop_to_ink(draw_ink(strokes, style, rng))
        if grey is None:
            raise InkError("has no ink")
        if grey.shape[0] > _MAX_HEIGHT_PX:
            style = InkStyle(symbol_px=style.symbol_px / 2, line_px=1.3, max_side_px=900)
    em = type_size(grey.astype(np.float32))
    return Printed(grey, em or _SMALL.symbol_px * _EM_SYMBOLS, formula)


_mixer: InkMixer
_plan: tuple[Path, int, int]


def write_shards(
    folder: Path, inks: Sequence[Written], pictures: int, per_shard: int, seed: int, processes: int
) -> Iterator[int]:
    """Write the shards that are not there yet; yields the number of each as it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder, per_shard, seed
    missing = [n for n in range(-(-pictures // per_shard)) if not _path(folder, n).exists()]
    with multiprocessing.get_context("spawn").Pool(processes, _start, (inks, plan)) as pool:
        yield from pool.imap_unordered(_write, missing)


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.npz"


def _start(inks: Sequence[Written], plan: tuple[Path, int, int]) -> None:
    global _mixer, _plan
    _mixer, _plan = InkMixer(inks), plan


def _write(number: int) -> int:
    folder, per_shard, seed = _plan
    rng = np.random.default_rng([seed, number])
    pictures = [draw_written(*_mixer.mix(rng), rng) for _ in range(per_shard)]
    write_shard(_path(folder, number), pictures)
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Write shards from the command line, one line of progress a shard."""
    parser = argparse.ArgumentParser(description="Handwriting as shards of training pictures.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ink", type=Path, required=True)
    parser.add_argument("--captions", type=Path)
    parser.add_argument("--only", type=Path)
    parser.add_argument("--pictures", type=int, required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--per-shard", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    inks = read_inks(given.ink, given.captions, given.only)
    print(f"{len(inks)} inks", flush=True)
    for number in write_shards(
        given.out, inks, given.pictures, given.per_shard, given.seed, given.processes
    ):
        print(f"shard {number}", flush=True)


if __name__ == "__main__":
    main()
