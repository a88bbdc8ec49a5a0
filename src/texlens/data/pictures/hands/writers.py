"""Writers: who wrote which symbols, and whose hands are alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from texlens.data.pictures.hands.glyphs import (
    BAR,
    Glyph,
    Part,
    build,
    cut_out,
    other_forms,
    own,
    parts_of,
    without_odd,
)
from texlens.data.pictures.hands.open_hands import OpenHand
from texlens.data.pictures.ink import Ink

_LENDERS = 6  # a symbol that a writer lacks is from one of so many whose hands are alike
_CHOICES = 6  # writers among whom the one with most of a formula's symbols is taken
_MIXED = 0.2  # of few hands' symbols: taken from a like hand, so that hands are not all the same
_OTHER_FORMS = 0.3  # of the symbols that people write in other forms than fonts


@dataclass(frozen=True, slots=True)
class Writer:
    """One hand: its symbols by their character; slant, roundness and other traits, standardised."""

    name: str
    glyphs: dict[str, list[Glyph]]
    traits: NDArray[np.float64]


@dataclass
class Hands:
    """The hands of a corpus. Without any, everything is in the package's own strokes.

    few: there are few, and each has one form of a symbol: then they are varied and mixed, so that
        every formula has a hand of its own.
    """

    writers: Sequence[Writer]
    few: bool = False
    _having: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _nearest: dict[tuple[int, str], NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        having: dict[str, list[int]] = defaultdict(list)
        for number, writer in enumerate(self.writers):
            for char in writer.glyphs:
                having[char].append(number)
        self._having = {char: np.array(numbers) for char, numbers in having.items()}
        self._shares = np.array([len(w.glyphs) for w in self.writers], dtype=np.float64)
        if len(self.writers):
            self._shares /= self._shares.sum()

    @classmethod
    def of(cls, inks: Iterable[Ink]) -> Hands:
        """The hands of inks whose symbols are marked; inks of no name are each a hand."""
        by_writer: dict[str, dict[str, list[Glyph]]] = defaultdict(lambda: defaultdict(list))
        for number, ink in enumerate(inks):
            own_glyphs = by_writer[ink.writer or f"#{number}"]
            for char, glyph in cut_out(ink):
                own_glyphs[char].append(glyph)
        everyone: dict[str, list[Glyph]] = defaultdict(list)
        for glyphs in by_writer.values():
            for char, some in glyphs.items():
                everyone[char] += some
        usual = {id(glyph) for some in everyone.values() for glyph in without_odd(some)}
        names, kept = [], []
        for name in sorted(by_writer):
            glyphs = {
                char: good
                for char, some in by_writer[name].items()
                if (good := [glyph for glyph in some if id(glyph) in usual])
            }
            if glyphs:
                names.append(name)
                kept.append(glyphs)
        return cls(_writers(names, kept))

    @classmethod
    def of_open(cls, hands: Sequence[OpenHand]) -> Hands:
        """The hands of a file of strokes."""
        return cls(_writers([h.name for h in hands], [h.glyphs() for h in hands]), few=True)

    def choose(self, chars: Iterable[str], rng: np.random.Generator) -> int | None:
        """A writer who has many of the characters; None where there are no writers."""
        if not self.writers:
            return None
        some = rng.choice(len(self.writers), _CHOICES, p=self._shares)
        wanted = sorted(set(chars))
        known = [sum(char in self.writers[number].glyphs for char in wanted) for number in some]
        return int(some[int(np.argmax(known))])

    def writes(self, char: str) -> bool:
        """Whether some writer has a character, or a name as one symbol."""
        return char in self._having

    def glyphs(self, writer: int | None, char: str, rng: np.random.Generator) -> list[Glyph]:
        """How a writer writes a character, in one or more instances; none where nobody does.

        Where the writer has no such symbol it is that of a like hand, built from other symbols, or
        in our own strokes.
        """
        if not self.few or writer is None:
            return self._found(writer, char, rng)
        if char in self._having and rng.random() < _MIXED:
            near = self._alike(writer, char)
            writer = int(near[rng.integers(len(near))])
        found = self._found(writer, char, rng)
        forms = other_forms(char)
        if found and forms and rng.random() < _OTHER_FORMS:
            found = self._in_form(writer, forms[int(rng.integers(len(forms)))], found[0], rng)
        return list(found[:1])

    def _in_form(
        self, writer: int, parts: Sequence[Part], usual: Glyph, rng: np.random.Generator
    ) -> list[Glyph]:
        """A symbol in another form; if of several parts, as large as in the usual one."""
        built = self._built(writer, parts, rng)
        if not built or len(parts) == 1 or not usual.width:
            return built or [usual]
        return [Glyph(glyph.strokes, usual.width, usual.height) for glyph in built]

    def _built(self, writer: int, parts: Sequence[Part], rng: np.random.Generator) -> list[Glyph]:
        """Two instances of a symbol put together of others."""
        pools = [self._found(writer, part.char, rng) for part in parts]
        if not pools or not all(pools):
            return []
        picked = [[pool[int(rng.integers(len(pool)))] for pool in pools] for _ in "12"]
        return [build(parts, some) for some in picked]

    def _found(self, writer: int | None, char: str, rng: np.random.Generator) -> list[Glyph]:
        if writer is not None:
            if char in self.writers[writer].glyphs:
                return self.writers[writer].glyphs[char]
            if char in self._having:
                near = self._alike(writer, char)
                return self.writers[int(near[rng.integers(len(near))])].glyphs[char]
            if char == BAR:
                return self._found(writer, "−", rng)
            if built := self._built(writer, parts_of(char), rng):
                return built
        glyph = own(char)
        return [] if glyph is None else [glyph]

    def _alike(self, writer: int, char: str) -> NDArray[np.int64]:
        """Those who have a character and whose hands are most like a writer's."""
        key = writer, char
        if key not in self._nearest:
            others = self._having[char]
            traits = np.array([self.writers[int(other)].traits for other in others])
            far = ((traits - self.writers[writer].traits) ** 2).sum(axis=1)
            self._nearest[key] = others[np.argsort(far, kind="stable")[:_LENDERS]]
        return self._nearest[key]


def _writers(names: Sequence[str], symbols: Sequence[dict[str, list[Glyph]]]) -> list[Writer]:
    """Writers with their traits against those of all."""
    if not symbols:
        return []
    traits = np.array([_traits(glyphs) for glyphs in symbols])
    traits = (traits - traits.mean(axis=0)) / np.maximum(traits.std(axis=0), 1e-6)
    return [Writer(n, g, t) for n, g, t in zip(names, symbols, traits, strict=True)]


def _traits(glyphs: dict[str, list[Glyph]]) -> list[float]:
    """Slant, proportions, roundness and number of strokes over all symbols of a writer."""
    slants, weights, turns, aspects = [], [], [], []
    strokes = 0
    count = 0
    for some in glyphs.values():
        for glyph in some:
            count += 1
            strokes += len(glyph.strokes)
            aspects.append(np.log(glyph.width / glyph.height))
            for stroke in glyph.strokes:
                steps = np.diff(stroke, axis=0) * [glyph.width, glyph.height]
                lengths = np.hypot(steps[:, 0], steps[:, 1])
                steep = np.abs(steps[:, 1]) > np.abs(steps[:, 0])
                down = np.where(steps[:, 1] > 0, 1.0, -1.0)
                slants.append(float((steps[steep, 0] * down[steep]).sum()))
                weights.append(float(np.abs(steps[steep, 1]).sum()))
                if len(steps) > 2:
                    angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])[lengths > 0])
                    turns.append(float(np.abs(np.diff(angles)).sum()) if len(angles) > 1 else 0.0)
    slant = sum(slants) / max(sum(weights), 1e-6)
    return [slant, float(np.median(aspects)), float(np.mean(turns or [0.0])), strokes / count]
