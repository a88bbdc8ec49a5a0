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
    build,
    cut_out,
    own,
    parts_of,
    without_odd,
)
from texlens.data.pictures.ink import Ink

_LENDERS = 6  # a symbol that a writer lacks is from one of so many whose hands are alike
_CHOICES = 6  # writers among whom the one with most of a formula's symbols is taken


@dataclass(frozen=True, slots=True)
class Writer:
    """One hand: its symbols by their character; slant, roundness and other traits, standardised."""

    name: str
    glyphs: dict[str, list[Glyph]]
    traits: NDArray[np.float64]


@dataclass
class Hands:
    """The hands of a corpus. Without any, everything is in the package's own strokes."""

    writers: Sequence[Writer]
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
        if not kept:
            return cls([])
        traits = np.array([_traits(glyphs) for glyphs in kept])
        traits = (traits - traits.mean(axis=0)) / np.maximum(traits.std(axis=0), 1e-6)
        return cls([Writer(n, g, t) for n, g, t in zip(names, kept, traits, strict=True)])

    def choose(self, chars: Iterable[str], rng: np.random.Generator) -> int | None:
        """A writer who has many of the characters; None where there are no writers."""
        if not self.writers:
            return None
        some = rng.choice(len(self.writers), _CHOICES, p=self._shares)
        wanted = sorted(set(chars))
        known = [sum(char in self.writers[number].glyphs for char in wanted) for number in some]
        return int(some[int(np.argmax(known))])

    def glyphs(self, writer: int | None, char: str, rng: np.random.Generator) -> list[Glyph]:
        """How a writer writes a character, in one or more instances; none where nobody does.

        Where the writer has no such symbol it is that of a like hand, built from other symbols, or
        in our own strokes.
        """
        if writer is not None:
            if char in self.writers[writer].glyphs:
                return self.writers[writer].glyphs[char]
            if char in self._having:
                near = self._alike(writer, char)
                return self.writers[int(near[rng.integers(len(near))])].glyphs[char]
            if char == BAR:
                return self.glyphs(writer, "−", rng)
            if parts := parts_of(char):
                pools = [self.glyphs(writer, part.char, rng) for part in parts]
                if all(pools):
                    picked = [[pool[int(rng.integers(len(pool)))] for pool in pools] for _ in "12"]
                    return [build(parts, some) for some in picked]
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
