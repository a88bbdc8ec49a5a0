"""Calls to MathJax and KaTeX: limits, batches, and the way to V8 in a worker process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any, TypeVar, cast

from texlens.engine.boxes import Drawing, Failure, drawing_from_json
from texlens.engine.fonts import bundle
from texlens.engine.limits import failure_of, over_limit, within_glyphs
from texlens.workers import WorkerFault, get_pool, in_worker, run_each

T = TypeVar("T")

# Formulas go to V8 in batches, since a call costs 0.4 ms whatever its size; in small ones, since
# all of a batch that fails are tried again.
_FORMULAS_A_CALL = 64
_CHARACTERS_A_CALL = 8_000

# As in `v8`, which is imported only where V8 runs.
Answer = list[Any]
_OK, _FAILED, _FAULT = 0, 1, 2

# SVG text, and width, height above and depth below the baseline in em.
SvgPicture = tuple[str, float, float, float]


class Engine:
    """MathJax and KaTeX for one font. Every method takes formulas and gives one result for each.

    V8 runs in worker processes: no formula can end or block this one, and any number of threads may
    call. A formula over a limit (`limits`) fails without being tried. One on which a worker ends
    fails alone, as a fault. An engine has no state of its own.
    """

    def __init__(self, font: str = "tex") -> None:
        self.font = font
        self._script = bundle(font)

    @cached_property
    def signature(self) -> str:
        """The versions inside and a hash of the bundle; equal signatures mean equal results."""
        versions = self._versions()
        digest = hashlib.sha256(self._script.read_bytes()).hexdigest()[:12]
        return f"mathjax:{versions['mathjax']},katex:{versions['katex']},bundle:{digest}"

    def parse(self, formulas: Sequence[str]) -> list[Failure | None]:
        """Whether KaTeX parses each formula as display math: None, or the failure."""
        return self._each("parse", formulas, lambda result: None)

    def tree(self, formulas: Sequence[str]) -> list[Any]:
        """KaTeX's parse tree of each formula as plain lists and dictionaries, or a Failure."""
        return self._each("tree", formulas, lambda result: result)

    def draw(self, formulas: Sequence[str], *, display: bool = True) -> list[Drawing | Failure]:
        """The glyph boxes of each formula as MathJax sets it (display or text style)."""
        drawings = self._each("draw", formulas, drawing_from_json, display)
        return [within_glyphs(d) if isinstance(d, Drawing) else d for d in drawings]

    def svg(self, formulas: Sequence[str], *, display: bool = True) -> list[SvgPicture | Failure]:
        """Each formula as SVG (text, width, height above and depth below the baseline in em)."""
        return self._each("svg", formulas, _svg_from_json, display)

    def mathml(self, formulas: Sequence[str], *, display: bool = True) -> list[str | Failure]:
        """Each formula as presentation MathML."""
        return self._each("mathml", formulas, str, display)

    def _each(
        self, function: str, formulas: Sequence[str], read: Callable[[Any], T], *arguments: bool
    ) -> list[T | Failure]:
        """The result of a function of the script for each formula."""
        results: list[T | Failure | None] = [over_limit(formula) for formula in formulas]
        places = [place for place, result in enumerate(results) if result is None]
        for some in _batches(places, formulas):
            batch = [formulas[place] for place in some]
            for place, answer in zip(some, self._answers(function, batch, arguments), strict=True):
                results[place] = _read(answer, read)
        return cast("list[T | Failure]", results)

    def _answers(
        self, function: str, batch: list[str], arguments: tuple[bool, ...]
    ) -> list[Answer]:
        call = partial(_caller, self.font, function, arguments)
        if in_worker():
            return call()(batch)
        return [
            [_FAULT, str(answer)] if isinstance(answer, WorkerFault) else answer
            for answer in run_each(call, batch)
        ]

    def _versions(self) -> dict[str, str]:
        make = partial(_versions_getter, self.font)
        return make()(None) if in_worker() else get_pool().run(make, None)


def _caller(
    font: str, function: str, arguments: tuple[bool, ...]
) -> Callable[[Sequence[str]], list[Answer]]:
    """In a worker: a function of the script, for formulas."""
    from texlens.engine.v8 import get_v8

    return lambda formulas: get_v8(font).call(function, list(formulas), *arguments)


def _versions_getter(font: str) -> Callable[[None], dict[str, str]]:
    from texlens.engine.v8 import get_v8

    return lambda _: get_v8(font).versions()


def _read(answer: Answer, read: Callable[[Any], T]) -> T | Failure:
    kind, *rest = answer
    if kind == _OK:
        return read(*rest)
    return failure_of(*rest) if kind == _FAILED else Failure(rest[0], None, "fault")


def _svg_from_json(result: list[Any]) -> SvgPicture:
    text, width, height, depth = result
    return text, width / 1_000, height / 1_000, depth / 1_000


def _batches(places: Sequence[int], formulas: Sequence[str]) -> Iterator[list[int]]:
    """The places in batches bounded in number and in characters."""
    batch: list[int] = []
    characters = 0
    for place in places:
        length = len(formulas[place])
        if batch and (len(batch) == _FORMULAS_A_CALL or characters + length > _CHARACTERS_A_CALL):
            yield batch
            batch, characters = [], 0
        batch.append(place)
        characters += length
    if batch:
        yield batch


@cache
def get_engine(font: str = "tex") -> Engine:
    """The engine for a font. Raises InputError when the font is not installed."""
    return Engine(font)
