"""Synthetic pictures: formulas of a list or of our own grammar, printed, on screen or by hand.

The formulas of a list are drawn once each, in order. A count beyond the list, or no list at all,
is filled with formulas made by recombining the list or by the grammar. Every item depends on the
seed and its number alone; only the style of a printed batch is shared, by `BLOCK` items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from texlens.data.corpora.base import Locator, read_caption_lines
from texlens.data.formulas.grammar import generate
from texlens.data.formulas.recombine import Recombiner
from texlens.data.items import Drop, RawItem
from texlens.data.pictures.degrade import Medium, Picture, degrade_as
from texlens.data.pictures.hand import write_formulas
from texlens.data.pictures.ink import InkError, InkStyle, Stroke, draw_ink
from texlens.data.pictures.printed import choose_style, render_printed
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.records import Kind

BLOCK = 200  # items that share a style: fonts are loaded once a TeX run
DEFAULT_COUNT = 1000
_MARGIN_PX = 24
_TRIES = 30  # to make a formula whose every symbol can be written by hand
_NAMES: dict[Kind, str] = {
    "printed": "synthetic-printed",
    "screen": "synthetic-screen",
    "handwritten": "synthetic-hand",
}


@dataclass(frozen=True)
class Synthetic:
    """``count`` pictures of a kind; None: one for each formula of the lists, or 1,000."""

    kind: Kind
    lists: tuple[Path, ...] = ()
    count: int | None = None
    seed: int = 0
    sizes: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        """What the items' ``source`` says: handwriting is never passed off as real."""
        return _NAMES[self.kind]

    def locators(self) -> Iterator[Locator]:
        """(number, formula of a list or None where one is to be made)."""
        listed = _read_lists(self.lists)
        count = self.count if self.count is not None else len(listed) or DEFAULT_COUNT
        if count < 1:
            raise InputError(f"{count} pictures were asked for: give a count of at least 1.")
        for number in range(count):
            yield (number, listed[number] if number < len(listed) else None)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Draw each formula."""
        for block, members in groupby(locators, key=lambda locator: locator[0] // BLOCK):
            numbers, formulas = [], []
            for number, formula in members:
                numbers.append(number)
                formulas.append(formula or self._made(number))
            drawn = self._drawn(block, numbers, formulas)
            for number, formula, picture in zip(numbers, formulas, drawn, strict=True):
                label = f"{self.name}-{number:07d}"
                if isinstance(picture, str):
                    yield Drop(label, "draw", picture)
                else:
                    yield RawItem(
                        label, encode_png(Image.fromarray(picture)), formula, self.kind, self.name
                    )

    def _made(self, number: int) -> str:
        return _maker(self.lists, self.kind)(Random(f"{self.seed}/formula/{number}"))

    def _drawn(
        self, block: int, numbers: Sequence[int], formulas: Sequence[str]
    ) -> list[Picture | str]:
        rngs = [np.random.default_rng([self.seed, number]) for number in numbers]
        if self.kind == "handwritten":
            strokes = write_formulas(formulas, rngs)
            return [
                ink if isinstance(ink, str) else _inked(ink, rng)
                for ink, rng in zip(strokes, rngs, strict=True)
            ]
        style = choose_style(Random(f"{self.seed}/style/{block}"))
        randoms = [Random(f"{self.seed}/size/{number}") for number in numbers]
        medium: Medium = "screen" if self.kind == "screen" else "scan"
        return [
            printed if isinstance(printed, str) else _degraded(printed.grey, medium, rng)
            for printed, rng in zip(render_printed(formulas, style, randoms), rngs, strict=True)
        ]


def _read_lists(paths: Sequence[Path]) -> list[str]:
    return [line.strip() for path in paths for line in read_caption_lines(path) if line.strip()]


@lru_cache(maxsize=4)
def _maker(lists: tuple[Path, ...], kind: Kind) -> Callable[[Random], str]:
    """What writes the formulas that no list gives; built once a process."""
    longest = 60 if kind == "handwritten" else 150
    recombiner = Recombiner(_read_lists(lists), max_tokens=longest) if lists else None

    def make(random: Random) -> str:
        if recombiner is not None:
            return recombiner.sample(random)
        length = min(int(random.lognormvariate(3.3, 0.7)), longest)
        return generate(random, tokens=length, depth=random.randint(0, 4))

    def make_writable(random: Random) -> str:
        for _ in range(_TRIES):
            formula = make(random)
            if not isinstance(write_formulas([formula], [np.random.default_rng(0)])[0], str):
                break
        return formula

    return make_writable if kind == "handwritten" else make


def _inked(strokes: Sequence[Stroke], rng: np.random.Generator) -> Picture | str:
    try:
        return draw_ink(strokes, InkStyle().vary(rng), rng)
    except InkError as error:
        return str(error)


def _degraded(grey: Picture, medium: Medium, rng: np.random.Generator) -> Picture:
    """With a margin, and half of the pictures with the traces of their medium."""
    framed = np.pad(grey, int(rng.integers(4, _MARGIN_PX)), constant_values=255)
    if rng.random() < 0.5:
        return framed
    return degrade_as(framed, medium, rng, strength=float(rng.uniform(0.1, 0.7)))
