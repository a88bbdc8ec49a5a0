"""Shards of composed handwriting: formulas of any source, by the hands of an ink or our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np

from texlens.data.pictures.hands.composer import compose
from texlens.data.pictures.hands.open_hands import OpenHand, digest_of_hands
from texlens.data.pictures.hands.paper import cross_out, put_on_paper
from texlens.data.pictures.hands.pens import choose_pen, ink_on_white
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.ink import Ink
from texlens.data.pictures.mixed_ink import digest_of
from texlens.data.pictures.printed import ListedShards, PrintedShards
from texlens.data.pictures.renderers import Dropped, FormulaPicture, Rendered
from texlens.data.pictures.shards import ShardMaker
from texlens.engine import Drawing, Failure, get_engine
from texlens.images import crop_to_ink
from texlens.latex import normalize
from texlens.reading.pictures.type_size import type_size

_STYLE: Final = "hand"
_LAYOUTS: Final = 64  # laid out by the engine at a time
_SIZES: Final = (24.0, 40.0)  # pixels per em


@dataclass(frozen=True, slots=True)
class ComposedShards:
    """Shards of formulas by hand.

    formulas: which formulas; of print, of which the renderers are not used.
    inks: whose symbols are used; none: those of `hands`.
    hands: open hands; none: the package's own strokes.
    copies: hands in which each sampled formula is written, one after another. A list's formulas are
        each written once.
    """

    formulas: PrintedShards | ListedShards
    inks: Sequence[Ink] = ()
    hands: Sequence[OpenHand] = ()
    copies: int = 2

    def settings(self) -> dict[str, Any]:
        """All that decides the bytes of a shard, as JSON."""
        return (
            self.formulas.settings()
            | {
                "by_hand": True,
                "inks": len(self.inks),
                "sha256_inks": digest_of(self.inks),
                "copies": self.copies,
            }
            | ({"hands": digest_of_hands(self.hands)} if self.hands else {})
        )

    def open(self) -> ShardMaker:
        """The function that makes a shard. Raises InputError when a source cannot be used."""
        hands = Hands.of_open(self.hands) if self.hands else Hands.of(self.inks)
        formulas_of = self.formulas.open_formulas()
        copies = 1 if isinstance(self.formulas, ListedShards) else self.copies

        def make(number: int) -> list[Rendered]:
            formulas, rendered, random = formulas_of(number)
            layouts = formulas[: -(-len(formulas) // copies)]
            for start in range(0, len(layouts), _LAYOUTS):
                batch = layouts[start : start + _LAYOUTS]
                for formula, drawing in zip(batch, get_engine().draw(batch), strict=True):
                    reference = " ".join(normalize(formula).split())
                    for _ in range(copies):
                        rendered.append(_picture(reference, drawing, hands, _generator(random)))
            return rendered[: len(formulas)] if copies > 1 else rendered

        return make


def _generator(random: Random) -> np.random.Generator:
    return np.random.default_rng(random.getrandbits(64))


def _picture(
    reference: str, drawing: Drawing | Failure, hands: Hands, rng: np.random.Generator
) -> Rendered:
    """One formula by one hand, with one pen on one paper."""
    if isinstance(drawing, Failure):
        return Dropped(reference, drawing.message, _STYLE)
    strokes = compose(drawing, hands, rng)
    if isinstance(strokes, str):
        return Dropped(reference, strokes, _STYLE)
    pen = choose_pen(rng)
    grey = ink_on_white(cross_out(strokes, rng), float(rng.uniform(*_SIZES)), pen, rng)
    cropped = crop_to_ink(grey)
    if cropped is None:
        return Dropped(reference, "the picture is blank", _STYLE)
    em = type_size(cropped.astype(np.float32)) or _SIZES[0]
    return FormulaPicture(put_on_paper(cropped, rng), em, reference, f"{_STYLE} {pen.name}")
