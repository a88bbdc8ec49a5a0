"""Synthetic pictures: formulas of a list or of a grammar, printed, on screen or by hand.

The formulas of a list are rendered once each, in order. A count beyond the list, or no list at all,
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

from texlens.data.corpora.base import Corpus, Locator
from texlens.data.formulas.grammar import generate
from texlens.data.formulas.recombine import Recombiner
from texlens.data.items import Drop, RawItem
from texlens.data.pictures.augmentation import Medium, Picture, augment_as
from texlens.data.pictures.handwriting import handwrite
from texlens.data.pictures.ink import InkStyle, render_ink
from texlens.data.pictures.renderers import Dropped, choose_style, render_formulas
from texlens.images import encode_png
from texlens.inputs import read_lines
from texlens.records import Kind

BLOCK = 200  # items that share a style: fonts are loaded once a TeX run
DEFAULT_COUNT = 1000
_MARGIN_PX = 24
_TRIES = 30  # to sample a formula whose symbols can all be handwritten
_NAMES: dict[Kind, str] = {
    "printed": "synthetic-printed",
    "screen": "synthetic-screen",
    "handwritten": "synthetic-hand",
}


@dataclass(frozen=True)
class Synthetic(Corpus):
    """``count`` pictures of a kind; None: one for each formula of the lists, or 1,000."""

    kind: Kind
    lists: tuple[Path, ...] = ()
    count: int | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """The `source` of the items: it marks handwriting as synthetic."""
        return _NAMES[self.kind]

    def locators(self) -> Iterator[Locator]:
        """(number, formula of a list, or None where one must be made)."""
        listed = _read_lists(self.lists)
        count = self.count if self.count is not None else len(listed) or DEFAULT_COUNT
        for number in range(count):
            place = (number, listed[number] if number < len(listed) else None)
            yield Locator(f"{self.name}-{number:07d}", place, source=self.name)

    def load(self, locators: Sequence[Locator]) -> Iterator[RawItem | Drop]:
        """Render each formula."""
        for block, members in groupby(locators, key=lambda locator: locator.place[0] // BLOCK):
            numbers, listed = zip(*(locator.place for locator in members), strict=True)
            formulas = [
                formula or self._sampled(number)
                for number, formula in zip(numbers, listed, strict=True)
            ]
            pictures = self._rendered(block, numbers, formulas)
            for number, formula, picture in zip(numbers, formulas, pictures, strict=True):
                label = f"{self.name}-{number:07d}"
                if isinstance(picture, str):
                    yield Drop(label, "draw", picture)
                else:
                    yield RawItem(
                        label, encode_png(Image.fromarray(picture)), formula, self.kind, self.name
                    )

    def _sampled(self, number: int) -> str:
        return _sampler(self.lists, self.kind)(Random(f"{self.seed}/formula/{number}"))

    def _rendered(
        self, block: int, numbers: Sequence[int], formulas: Sequence[str]
    ) -> list[Picture | str]:
        rngs = [np.random.default_rng([self.seed, number]) for number in numbers]
        if self.kind == "handwritten":
            strokes = handwrite(formulas, rngs)
            return [
                ink if isinstance(ink, str) else render_ink(ink, InkStyle().vary(rng), rng)
                for ink, rng in zip(strokes, rngs, strict=True)
            ]
        # The texts of the seeds are part of the data: a new word would give other pictures.
        style = choose_style(Random(f"{self.seed}/look/{block}"))
        randoms = [Random(f"{self.seed}/size/{number}") for number in numbers]
        medium: Medium = "screen" if self.kind == "screen" else "scan"
        return [
            one.reason if isinstance(one, Dropped) else _augmented(one.grey, medium, rng)
            for one, rng in zip(render_formulas(formulas, style, randoms), rngs, strict=True)
        ]


def _read_lists(paths: Sequence[Path]) -> list[str]:
    return [line.strip() for path in paths for line in read_lines(path) if line.strip()]


@lru_cache(maxsize=4)
def _sampler(lists: tuple[Path, ...], kind: Kind) -> Callable[[Random], str]:
    """What samples the formulas beyond the lists; built once a process."""
    longest = 60 if kind == "handwritten" else 150
    recombiner = Recombiner(_read_lists(lists), max_tokens=longest) if lists else None

    def sample(random: Random) -> str:
        if recombiner is not None:
            return recombiner.sample(random)
        length = min(int(random.lognormvariate(3.3, 0.7)), longest)
        return generate(random, tokens=length, depth=random.randint(0, 4))

    def sample_writable(random: Random) -> str:
        for _ in range(_TRIES):
            formula = sample(random)
            if not isinstance(handwrite([formula], [np.random.default_rng(0)])[0], str):
                break
        return formula

    return sample_writable if kind == "handwritten" else sample


def _augmented(grey: Picture, medium: Medium, rng: np.random.Generator) -> Picture:
    """With a margin, and half of the pictures with the traces of their medium."""
    framed = np.pad(grey, int(rng.integers(4, _MARGIN_PX)), constant_values=255)
    if rng.random() < 0.5:
        return framed
    return augment_as(framed, medium, rng, strength=float(rng.uniform(0.1, 0.7)))
