"""New ink out of real ink: symbols are exchanged between writers, and renamed.

CROHME has ten thousand inks, and a model that trains on them reads each a hundred times. Its files
say which strokes make which symbol, so every ink can be varied: a symbol gets the strokes that
another writer wrote for the same symbol, and all symbols of one name in a formula get another name
of like shape ("a" to "n", "3" to "7"), in the ink and in the LaTeX. What is laid out in space
(fraction bars, roots, sums, fences) stays as it was written. The whole ink is then turned and
stretched.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from texlens.data.pictures.ink import Ink, InkStyle, Stroke, render_ink
from texlens.data.pictures.renderers import Dropped, FormulaPicture, Rendered
from texlens.data.pictures.shards import ShardMaker
from texlens.images import crop_to_ink
from texlens.reading.pictures.type_size import type_size

# Symbols that may replace each other: of one height, and nothing else depends on their shape.
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
    """Makes new inks out of given ones, whose `reference` is in normal form."""

    def __init__(self, inks: Sequence[Ink], mixing: Mixing) -> None:
        self.inks = inks
        self.mixing = mixing
        self.symbols: dict[str, list[tuple[Ink, tuple[int, ...]]]] = defaultdict(list)
        for ink in inks:
            for name, places in ink.symbols:
                if name in _CLASS:
                    self.symbols[name].append((ink, places))

    def mix(self, rng: np.random.Generator) -> tuple[list[Stroke], str]:
        """The strokes and the formula of a new ink, made of one chosen at random."""
        ink = self.inks[int(rng.integers(len(self.inks)))]
        strokes, formula = list(ink.strokes), ink.reference
        if rng.random() >= self.mixing.untouched:
            names = self._new_names(ink, rng)
            formula = " ".join(names.get(token, token) for token in formula.split())
            for name, places in ink.symbols:
                new = names.get(name, name)
                if new != name or (name in _CLASS and rng.random() < self.mixing.swap):
                    written = self._by_another_writer(new, [strokes[i] for i in places], rng)
                    strokes[places[0]] = written[0]
                    strokes += written[1:]
                    for place in places[1:]:
                        strokes[place] = np.empty((0, 2))
        return self._transformed([stroke for stroke in strokes if len(stroke)], rng), formula

    def _new_names(self, ink: Ink, rng: np.random.Generator) -> dict[str, str]:
        """Names to replace; only those found as often in the ink as in the formula."""
        tokens = ink.reference.split()
        inked = [name for name, _ in ink.symbols]
        new = {}
        for name in sorted(set(inked) & _CLASS.keys()):
            if rng.random() < self.mixing.rename and tokens.count(name) == inked.count(name):
                other = [n for n in _ALIKE[_CLASS[name]] if n in self.symbols and n not in tokens]
                if other:
                    new[name] = other[int(rng.integers(len(other)))]
        return new

    def _by_another_writer(
        self, name: str, old: Sequence[Stroke], rng: np.random.Generator
    ) -> list[Stroke]:
        """A writer's strokes for a symbol, with the height and the place of the old ones."""
        instances = self.symbols[name]
        ink, places = instances[int(rng.integers(len(instances)))]
        new = [ink.strokes[place] for place in places]
        (low, size), (new_low, new_size) = _box(old), _box(new)
        # By height, as a line of writing is; a flat symbol by its longer side.
        scale = max(size[1], 0.5 * size[0]) / max(new_size[1], 0.5 * new_size[0], 1e-9)
        middle, new_middle = low + size / 2, new_low + new_size / 2
        return [(stroke - new_middle) * scale + middle for stroke in new]

    def _transformed(self, strokes: Sequence[Stroke], rng: np.random.Generator) -> list[Stroke]:
        angle = rng.uniform(-1, 1) * self.mixing.turn
        stretch = float(np.exp(rng.uniform(-1, 1) * np.log(self.mixing.stretch)))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return [stroke @ turn * np.array([stretch, 1 / stretch]) for stroke in strokes]


def _box(strokes: Sequence[Stroke]) -> tuple[Stroke, Stroke]:
    """Upper left corner and size of strokes."""
    points = np.concatenate(strokes)
    return points.min(axis=0), np.ptp(points, axis=0)


def ink_picture(strokes: Sequence[Stroke], formula: str, rng: np.random.Generator) -> Rendered:
    """A picture of strokes with a random pen, its size of type measured as a reader measures it.

    It is dropped where there is no ink.
    """
    style = _SMALL
    while True:
        style = style.vary(rng)
        grey = crop_to_ink(render_ink(strokes, style, rng))
        if grey is None:
            return Dropped(formula, "the picture is blank", "ink")
        if grey.shape[0] <= _MAX_HEIGHT_PX:
            break
        style = InkStyle(symbol_px=style.symbol_px / 2, line_px=1.3, max_side_px=900)
    em = type_size(grey.astype(np.float32))
    return FormulaPicture(grey, em or _SMALL.symbol_px * _EM_SYMBOLS, formula, "ink")


def digest_of(inks: Sequence[Ink]) -> str:
    """A SHA-256 of inks: their strokes, symbols and formulas."""
    digest = hashlib.sha256()
    for ink in inks:
        digest.update(repr((ink.reference, ink.symbols)).encode())
        for stroke in ink.strokes:
            digest.update(stroke.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class InkShards:
    """Shards of handwriting, mixed out of inks whose `reference` is in normal form."""

    inks: Sequence[Ink]
    pictures_per_shard: int = 2000
    seed: int = 0
    mixing: Mixing = field(default_factory=Mixing)

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        return {
            "inks": len(self.inks),
            "sha256": digest_of(self.inks),
            "pictures_per_shard": self.pictures_per_shard,
            "seed": self.seed,
            "mixing": asdict(self.mixing),
        }

    def open(self) -> ShardMaker:
        """The function that makes a shard."""
        mixer = InkMixer(self.inks, self.mixing)

        def make(number: int) -> list[Rendered]:
            rng = np.random.default_rng([self.seed, number])
            return [ink_picture(*mixer.mix(rng), rng) for _ in range(self.pictures_per_shard)]

        return make
