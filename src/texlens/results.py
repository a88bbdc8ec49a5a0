"""The results of the public functions: small frozen records with a short `repr`.

In a notebook they show themselves as HTML, which `texlens.notebook` makes when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from texlens.records import Score, notebook_html


@dataclass(frozen=True, slots=True)
class Glyph:
    """One piece of ink of a rendered formula.

    `text` is the character, or for what has none, such as a fraction bar, its kind. `x0`, `y0`,
    `x1`, `y1` are the box of the ink in em of the base font: y grows downwards, the origin is the
    start of the baseline.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which ink of the reference a metric matched with which ink of the prediction.

    `pairs` are indices into `reference` and `prediction`.
    """

    reference: tuple[Glyph, ...]
    prediction: tuple[Glyph, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> tuple[Glyph, ...]:
        """The ink of the reference that matches nothing in the prediction."""
        matched = {i for i, _ in self.pairs}
        return tuple(glyph for i, glyph in enumerate(self.reference) if i not in matched)

    @property
    def added(self) -> tuple[Glyph, ...]:
        """The ink of the prediction that matches nothing in the reference."""
        matched = {j for _, j in self.pairs}
        return tuple(glyph for j, glyph in enumerate(self.prediction) if j not in matched)

    def __repr__(self) -> str:
        return (
            f"Alignment({len(self.pairs)} pairs of {len(self.reference)} and "
            f"{len(self.prediction)} glyphs)"
        )


@dataclass(frozen=True, slots=True)
class PairScore:
    """One metric for one pair.

    `value` is in 0..1, None where the pair does not count: the reference cannot be rendered.
    `warnings` are sentences. `alignment` is there for `cdm` and `layout`, where both formulas can
    be rendered.
    """

    key: str
    value: float | None
    reference: str
    prediction: str
    signature: str
    warnings: tuple[str, ...] = ()
    alignment: Alignment | None = None

    def __float__(self) -> float:
        if self.value is None:
            raise TypeError(f"The {self.key} of this pair has no value: {' '.join(self.warnings)}")
        return self.value

    def __repr__(self) -> str:
        shown = "no value" if self.value is None else f"{self.value:.4f}"
        return f"PairScore({self.key} {shown})"

    def _repr_html_(self) -> str:
        return notebook_html(self)


@dataclass(frozen=True, repr=False)
class Scores(Mapping[str, Score]):
    """Metrics over the same items, by key, in the order of the tables."""

    by_key: dict[str, Score] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Score:
        return self.by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_key)

    def __len__(self) -> int:
        return len(self.by_key)

    def __repr__(self) -> str:
        return f"Scores({', '.join(map(repr, self.by_key.values()))})"

    def _repr_html_(self) -> str:
        return notebook_html(self)
