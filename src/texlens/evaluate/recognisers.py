"""Any recogniser behind one interface, and what happens when it fails on a picture.

`Recogniser` is all that a model needs for `evaluate` and `--recogniser`; `texlens.Reader` has it. A
recogniser of another package takes a few lines (docs/evaluate.md has pix2tex and TexTeller).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

from texlens.errors import InputError, TexlensError
from texlens.model.prompt_config import PromptConfig
from texlens.reading.pictures.opening import open_picture
from texlens.reading.sources import Item
from texlens.records import Reading

GIVES_UP_AFTER = 8
"""A recogniser that fails on each of the first so many pictures does not work at all."""


class Recogniser(Protocol):
    """What reads formulas: pictures in, one prediction for each out, in their order.

    Pictures are upright and in RGB. A prediction is LaTeX, or a `Reading`. `read_many` may take as
    many pictures at a time as it likes. An attribute `name` names the recogniser in tables and pages.
    """

    def read_many(self, pictures: Iterable[Image.Image], /) -> Iterable[str | Reading]:
        """The predictions of the pictures, in their order."""
        ...


@runtime_checkable
class ModelReader(Protocol):
    """A reader of this package: opens pictures itself, and knows what its readings depend on."""

    name: str
    prompt_config: PromptConfig
    max_new_tokens: int

    @property
    def fingerprint(self) -> str:
        """A hash of the weights."""
        ...

    @property
    def decoding_settings(self) -> dict[str, int]:
        """What decides a reading beside the model and its prompt."""
        ...

    def read_many(self, pictures: Iterable[Item], /) -> Iterator[Reading]:
        """One reading for each picture, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Recognised:
    """The prediction for one picture, or why there is none."""

    id: str
    prediction: str | Reading = ""
    error: str | None = None


def load_recogniser(reference: str) -> Recogniser:
    """The recogniser that a factory makes, named as `module:factory`.

    The module is also looked for in the working directory.

    Raises InputError when it cannot be imported, or what the factory returns is no recogniser.
    """
    module_name, colon, factory_name = reference.partition(":")
    if not (module_name and colon and factory_name):
        raise InputError(f"A recogniser is named as module:factory, not '{reference}'.")
    with contextlib.suppress(OSError):  # the working directory may be gone
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
    try:
        recogniser = getattr(importlib.import_module(module_name), factory_name)()
    except Exception as error:  # the code of a user may raise anything
        raise InputError(f"Cannot make the recogniser '{reference}': {reason(error)}.") from error
    if not callable(getattr(recogniser, "read_many", None)):
        raise InputError(
            f"'{reference}' makes no recogniser: it has no method read_many(pictures)."
        )
    made: Recogniser = recogniser
    return made


def name_of(recogniser: Recogniser | ModelReader) -> str:
    """The name of a recogniser: its attribute `name`, or its class."""
    return str(getattr(recogniser, "name", type(recogniser).__name__))


def recognise(recogniser: Recogniser | ModelReader, items: Iterable[Item]) -> Iterator[Recognised]:
    """One result for every item, in order. A picture that fails has an error, and the rest goes on.

    Where a recogniser fails on several pictures at a time, each of them is tried alone.

    Raises TexlensError when it fails on all of the first `GIVES_UP_AFTER` pictures, or does not give
    one prediction for each.
    """
    if isinstance(recogniser, ModelReader):
        for reading in recogniser.read_many(items):
            yield Recognised(reading.path, reading, reading.error)
        return
    failures = 0
    works = False
    for one, failure in _recognise(recogniser, iter(items)):
        works = works or one.error is None
        failures += failure is not None
        if not works and failures == GIVES_UP_AFTER:
            raise TexlensError(
                f"The recogniser failed on each of the first {failures} pictures: {one.error}"
            ) from failure
        yield one


def _recognise(
    recogniser: Recogniser, items: Iterator[Item]
) -> Iterator[tuple[Recognised, Exception | None]]:
    """Results, each with what the recogniser raised on it."""
    taken: deque[tuple[Item, str | None]] = (
        deque()
    )  # without a result yet; with an error of opening

    def pictures() -> Iterator[Image.Image]:
        for item in items:
            try:
                image = _opened(item)
            except InputError as error:
                taken.append((item, str(error)))
            else:
                taken.append((item, None))
                yield image

    def unreadable() -> Iterator[tuple[Recognised, None]]:
        while taken and taken[0][1] is not None:
            item, error = taken.popleft()
            yield Recognised(item.name, error=error), None

    while True:
        before = len(taken)
        try:
            for prediction in recogniser.read_many(pictures()):
                yield from unreadable()
                if not taken:
                    raise TexlensError("The recogniser gave more predictions than pictures.")
                yield Recognised(taken.popleft()[0].name, _checked(prediction)), None
        except TexlensError:
            raise
        except Exception as error:  # a recogniser may raise anything
            if len(taken) == before:
                raise TexlensError(f"The recogniser failed: {reason(error)}.") from error
            alone = sum(problem is None for _, problem in taken) == 1
            while taken:
                item, problem = taken.popleft()
                if problem is not None:
                    yield Recognised(item.name, error=problem), None
                else:
                    yield _failed(item, error) if alone else _one(recogniser, item)
            continue
        yield from unreadable()
        if taken or next(items, None) is not None:
            raise TexlensError("The recogniser gave fewer predictions than pictures.")
        return


def _one(recogniser: Recogniser, item: Item) -> tuple[Recognised, Exception | None]:
    """The result of one picture alone."""
    try:
        (prediction,) = recogniser.read_many([_opened(item)])
        return Recognised(item.name, _checked(prediction)), None
    except TexlensError:
        raise
    except Exception as error:  # as above
        return _failed(item, error)


def _failed(item: Item, error: Exception) -> tuple[Recognised, Exception]:
    return Recognised(item.name, error=f"The recogniser failed: {reason(error)}."), error


def _opened(item: Item) -> Image.Image:
    if item.error is not None or item.picture is None:
        raise InputError(item.error or "There is no picture.")
    if isinstance(item.picture, Image.Image):
        return item.picture.convert("RGB")
    return open_picture(item.picture)


def _checked(prediction: object) -> str | Reading:
    if isinstance(prediction, str | Reading):
        return prediction
    raise TexlensError(
        f"The recogniser gave a {type(prediction).__name__} as a prediction, not LaTeX or a Reading."
    )


def reason(error: BaseException) -> str:
    """An exception of foreign code in one line."""
    message = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {message[:300]}" if message else type(error).__name__
