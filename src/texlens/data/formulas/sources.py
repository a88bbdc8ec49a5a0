"""Sources of formulas: the kinds there are, and the text ``KIND:WEIGHT[:FILE]`` that names one.

A new kind is one more entry of `SOURCE_KINDS`, and a line in the help of `texlens data render`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from texlens.data.formulas.grammar import generate
from texlens.data.formulas.kinds import MADE_KINDS
from texlens.data.formulas.recombine import Recombiner, vary
from texlens.errors import InputError
from texlens.inputs import read_lines

Sampler = Callable[[Random], str]  # samples one formula: LaTeX, perhaps not in normal form
RECOMBINED_FORMULAS: Final = 20_000  # at most: a recombiner is built at 0.1 ms a formula


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source: `sampler` gets the lines of the source's file, or none."""

    sampler: Callable[[list[str]], Sampler]
    has_file: bool = True


def _listed(formulas: list[str]) -> Sampler:
    return lambda random: random.choice(formulas)


def _varied(formulas: list[str]) -> Sampler:
    return lambda random: vary(random.choice(formulas), random)


def _recombined(formulas: list[str]) -> Sampler:
    if len(formulas) > RECOMBINED_FORMULAS:
        formulas = Random(0).sample(formulas, RECOMBINED_FORMULAS)
    return Recombiner(formulas).sample


def _from_grammar(_: list[str]) -> Sampler:
    def sample(random: Random) -> str:
        # Lengths as in papers: a median of 33 tokens, some of 200.
        length = min(int(random.lognormvariate(3.5, 0.7)), 200)
        return generate(random, tokens=length, depth=random.choice((0, 1, 2, 2, 3, 3, 4)))

    return sample


def _made(name: str, _: list[str]) -> Sampler:
    return MADE_KINDS[name]


SOURCE_KINDS: Final = {
    "list": SourceKind(_listed),
    "varied": SourceKind(_varied),
    "recombine": SourceKind(_recombined),
    "grammar": SourceKind(_from_grammar, has_file=False),
    **{name: SourceKind(partial(_made, name), has_file=False) for name in MADE_KINDS},
}


@dataclass(frozen=True, slots=True)
class FormulaSource:
    """One source of formulas; `weight` is its share against the weights of the other sources."""

    kind: str
    weight: float = 1.0
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> FormulaSource:
        """Read ``KIND:WEIGHT[:FILE]``. Raises InputError for anything else."""
        kind, _, rest = text.partition(":")
        weight, _, path = rest.partition(":")
        try:
            known, share = SOURCE_KINDS[kind], float(weight)
            if known.has_file != bool(path) or not 0 < share < float("inf"):
                raise ValueError
        except (KeyError, ValueError):
            forms = (f"{k}:WEIGHT{':FILE' * known.has_file}" for k, known in SOURCE_KINDS.items())
            raise InputError(
                f"'{text}' is not a source of formulas: give one of {', '.join(forms)}."
            ) from None
        return cls(kind, share, Path(path) if path else None)

    def sampler(self) -> Sampler:
        """A function that samples one formula.

        Raises InputError when the file cannot be read or holds no formula.
        """
        return SOURCE_KINDS[self.kind].sampler(self._lines())

    def as_json(self) -> dict[str, Any]:
        """What decides the formulas: the file by its name and content, not by its place."""
        document: dict[str, Any] = {"kind": self.kind, "weight": self.weight}
        if self.path is not None:
            document["file"] = self.path.name
            document["sha256"] = hashlib.sha256("\n".join(self._lines()).encode()).hexdigest()
        return document

    def _lines(self) -> list[str]:
        if self.path is None:
            return []
        formulas = [line for line in read_lines(self.path) if line.strip()]
        if not formulas:
            raise InputError(f"'{self.path}' has no formulas: give a file with one on each line.")
        return formulas
