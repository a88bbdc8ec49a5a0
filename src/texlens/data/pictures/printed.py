"""Shards of printed formulas: sampled from sources by their weights, or all of a list."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import cv2
import numpy as np

from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.renderers import (
    RENDERERS,
    Dropped,
    Rendered,
    choose_style,
    render_formulas,
)
from texlens.data.pictures.shards import ShardMaker
from texlens.engine import fonts
from texlens.errors import InputError
from texlens.latex import normalize

FORMULAS_PER_STYLE: Final = 96  # pictures of one batch share a font
MAX_PIXELS_PER_EM: Final = 26.0  # larger pictures are reduced: a shard stays small
# Spaces count in chemistry: it is rendered as it is written, everything else in normal form.
_CHEMISTRY: Final = re.compile(r"\\(?:ce|pu)(?![A-Za-z])")
_TRIES: Final = 10_000  # to sample a formula that is short enough
_MAX_CHARACTERS: Final = 20_000  # of a line

Weights = tuple[tuple[str, float], ...]  # of renderers
# From a shard's number to its formulas, what was dropped already, and the generator that goes on.
FormulasOfShard = Callable[[int], tuple[list[str], list[Rendered], Random]]


def _renderers_as_json(renderers: Weights) -> dict[str, Any]:
    """What decides the pictures: the renderers, and the fonts of MathJax, which vary by machine."""
    return {
        "renderers": dict(renderers),
        "mathjax_fonts": fonts(),
        "max_pixels_per_em": MAX_PIXELS_PER_EM,
    }


def default_renderers() -> Weights:
    """pdfTeX where TeX is installed, else MathJax."""
    return (("mathjax" if RENDERERS["pdftex"].missing() else "pdftex", 1.0),)


def _rendered(formulas: Sequence[str], renderers: Weights, random: Random) -> list[Rendered]:
    """Pictures of the formulas with their normal form, in batches of one style each."""
    rendered: list[Rendered] = []
    for start in range(0, len(formulas), FORMULAS_PER_STYLE):
        batch = formulas[start : start + FORMULAS_PER_STYLE]
        references = [" ".join(normalize(formula).split()) for formula in batch]
        style = choose_style(random, dict(renderers))
        randoms = [Random(random.getrandbits(64)) for _ in batch]
        shown = [
            formula if _CHEMISTRY.search(formula) else reference
            for formula, reference in zip(batch, references, strict=True)
        ]
        for picture, reference in zip(
            render_formulas(shown, style, randoms), references, strict=True
        ):
            rendered.append(_reduced(replace(picture, formula=reference)))
    return rendered


def _reduced(picture: Rendered) -> Rendered:
    if isinstance(picture, Dropped) or picture.pixels_per_em <= MAX_PIXELS_PER_EM:
        return picture
    factor = MAX_PIXELS_PER_EM / picture.pixels_per_em
    height, width = (max(1, round(side * factor)) for side in picture.grey.shape)
    grey = cv2.resize(picture.grey, (width, height), interpolation=cv2.INTER_AREA)
    return replace(picture, grey=np.asarray(grey, dtype=np.uint8), pixels_per_em=MAX_PIXELS_PER_EM)


@dataclass(frozen=True, slots=True)
class PrintedShards:
    """Shards of printed formulas, sampled from the sources by their weights.

    Over the first ``curriculum_shards`` shards the longest formula grows from ``first_tokens`` to
    ``max_tokens``: a model that begins with short formulas learns to read sooner.
    """

    sources: tuple[FormulaSource, ...]
    pictures_per_shard: int = 2000
    seed: int = 0
    curriculum_shards: int = 0
    first_tokens: int = 16
    max_tokens: int = 220
    renderers: Weights | None = None

    def token_limit(self, number: int) -> int:
        """Tokens of the longest formula in a shard."""
        share = min(number / self.curriculum_shards, 1.0) if self.curriculum_shards else 1.0
        return round(self.first_tokens + share * (self.max_tokens - self.first_tokens))

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        return (
            asdict(self)
            | {"sources": [source.as_json() for source in self.sources]}
            | _renderers_as_json(self.renderers or default_renderers())
        )

    def open(self) -> ShardMaker:
        """The function that makes a shard. Raises InputError when a source cannot be used."""
        renderers = self.renderers or default_renderers()
        formulas_of = self.open_formulas()

        def make(number: int) -> list[Rendered]:
            formulas, _, random = formulas_of(number)
            return _rendered(formulas, renderers, random)

        return make

    def open_formulas(self) -> FormulasOfShard:
        """The function that samples a shard's formulas. Raises as `open`."""
        samplers = [source.sampler() for source in self.sources]
        weights = [source.weight for source in self.sources]

        def sample(random: Random, limit: int) -> str:
            for _ in range(_TRIES):
                (sampler,) = random.choices(samplers, weights)
                formula = sampler(random)
                if "\n" not in formula and len(normalize(formula).split()) <= limit:
                    return formula
            raise InputError(f"The sources have no formula of at most {limit} tokens.")

        def formulas_of(number: int) -> tuple[list[str], list[Rendered], Random]:
            random = Random(f"{self.seed}/{number}")
            limit = self.token_limit(number)
            return [sample(random, limit) for _ in range(self.pictures_per_shard)], [], random

        return formulas_of


@dataclass(frozen=True, slots=True)
class ListedShards:
    """Shards of the formulas of a list, each once, in order."""

    path: Path
    pictures_per_shard: int = 2000
    seed: int = 0
    renderers: Weights | None = None

    def lines(self) -> list[bytes]:
        """The lines of the list. Raises InputError when it cannot be read or is empty."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError as error:
            raise InputError(f"Cannot read '{self.path}': {error.strerror}.") from error
        if not any(line.strip() for line in lines):
            raise InputError(f"'{self.path}' has no formulas: give a file with one on each line.")
        return lines

    def count(self) -> int:
        """How many shards the list fills."""
        return -(-len(self.lines()) // self.pictures_per_shard)

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        return {
            "list": self.path.name,
            "sha256": hashlib.sha256(b"\n".join(self.lines())).hexdigest(),
            "pictures_per_shard": self.pictures_per_shard,
            "seed": self.seed,
        } | _renderers_as_json(self.renderers or default_renderers())

    def open(self) -> ShardMaker:
        """The function that makes a shard."""
        renderers = self.renderers or default_renderers()
        formulas_of = self.open_formulas()

        def make(number: int) -> list[Rendered]:
            formulas, broken, random = formulas_of(number)
            return [*broken, *_rendered(formulas, renderers, random)]

        return make

    def open_formulas(self) -> FormulasOfShard:
        """The function that reads a shard's formulas; broken lines are dropped."""
        lines = self.lines()

        def formulas_of(number: int) -> tuple[list[str], list[Rendered], Random]:
            start = number * self.pictures_per_shard
            formulas: list[str] = []
            broken: list[Rendered] = []
            for at, line in enumerate(lines[start : start + self.pictures_per_shard], start + 1):
                formula = _formula_of_line(line, at)
                if isinstance(formula, Dropped):
                    broken.append(formula)
                elif formula:
                    formulas.append(formula)
            return formulas, broken, Random(f"{self.seed}/{number}")

        return formulas_of


def _formula_of_line(line: bytes, number: int) -> str | Dropped:
    """The formula of a line, empty for an empty line; a broken line with its number."""
    text = line.decode("utf-8", errors="replace")
    if "\ufffd" in text:
        return Dropped(text[:200], f"line {number} is not UTF-8")
    if len(text) > _MAX_CHARACTERS:
        return Dropped(text[:200], f"line {number} has more than {_MAX_CHARACTERS} characters")
    if any(ord(character) < 32 and character != "\t" for character in text):
        return Dropped(text[:200], f"line {number} has control characters")
    return text.strip()
