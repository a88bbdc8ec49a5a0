"""One warm V8 with MathJax and KaTeX in it, and the limits on time and memory for each formula."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar, cast

from py_mini_racer import JSEvalException, JSOOMException, JSTimeoutException, MiniRacer

from texlens.engine.boxes import Drawing, Failure, drawing_from_json
from texlens.errors import InputError

T = TypeVar("T")

# Of one formula. The longest in im2latex-100k has 6,000; `cdm`, which gives every token a colour,
# writes about eight times as many.
MAX_CHARACTERS = 100_000
# The second time is for a formula that did not get its processor time: together below 2 s.
SECONDS_A_CALL = 0.6
SECONDS_AGAIN = 0.8
MEMORY_BYTES = 768 * 2**20
# Formulas go to V8 in batches, since a call costs 0.4 ms whatever its size; in small ones, since
# the time limit is that of a call.
_FORMULAS_A_CALL = 64
_CHARACTERS_A_CALL = 8_000
# A formula that had run for this share of the limit when it was stopped is the cause.
_CAUSE_SHARE = 0.8
# Less processor time than this share of the limit: the machine was busy elsewhere.
_STARVED_SHARE = 0.4


class Engine:
    """A V8 with MathJax and KaTeX. Every method takes formulas and gives one result for each.

    A formula that exceeds the time or memory limit fails alone: the context is rebuilt and the
    rest of its batch goes on. One engine may be used from several threads; calls take turns.
    `patience` multiplies the limits of time, by the clock, for a process that has another time limit.
    """

    def __init__(self, *, font: str = "tex", patience: float = 1.0) -> None:
        self.font = font
        self._patience = patience
        self._script = _bundle(font).read_text("utf-8")
        self._lock = threading.Lock()
        self._context: MiniRacer | None = None
        self._process = os.getpid()
        self.rebuilds = 0

    @property
    def is_of_this_process(self) -> bool:
        """False in a process forked from the one that made this engine."""
        return self._process == os.getpid()

    @cached_property
    def signature(self) -> str:
        """The versions inside and a hash of the bundle; equal signatures mean equal results."""
        versions = json.loads(self._evaluate("JSON.stringify(texlens.versions)"))
        digest = hashlib.sha256(self._script.encode()).hexdigest()[:12]
        return f"mathjax:{versions['mathjax']},katex:{versions['katex']},bundle:{digest}"

    def parse(self, formulas: Sequence[str]) -> list[Failure | None]:
        """Whether KaTeX parses each formula as display math: None, or the failure."""
        return self._each("parse", formulas, lambda result: None)

    def tree(self, formulas: Sequence[str]) -> list[Any]:
        """KaTeX's parse tree of each formula as plain lists and dictionaries, or a Failure."""
        return self._each("tree", formulas, lambda result: result)

    def draw(self, formulas: Sequence[str], *, display: bool = True) -> list[Drawing | Failure]:
        """The glyph boxes of each formula as MathJax sets it (display or text style)."""
        return self._each("draw", formulas, drawing_from_json, display)

    def svg(self, formulas: Sequence[str], *, display: bool = True) -> list[SvgPicture | Failure]:
        """Each formula as SVG (text, width, height above and depth below the baseline in em)."""
        return self._each("svg", formulas, _svg_from_json, display)

    def mathml(self, formulas: Sequence[str], *, display: bool = True) -> list[str | Failure]:
        """Each formula as presentation MathML."""
        return self._each("mathml", formulas, str, display)

    def close(self) -> None:
        """Free V8. The next call starts it anew."""
        context, self._context = self._context, None
        if context is not None and self.is_of_this_process:
            context.close()
        elif context is not None:
            # After a fork V8's threads are the parent's, and closing would wait for them or abort:
            # keep the object for ever.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))

    def _each(
        self, function: str, formulas: Sequence[str], read: Callable[[Any], T], *arguments: bool
    ) -> list[T | Failure]:
        """The result of a function of the script for each formula."""
        tail = "".join(f",{json.dumps(argument)}" for argument in arguments)

        def call(batch: list[str], seconds: float = SECONDS_A_CALL) -> list[Answer]:
            code = f"texlens.{function}({json.dumps(batch)}{tail})"
            return cast("list[Answer]", json.loads(self._evaluate(code, seconds)))

        return [
            Failure(*rest) if failed else read(*rest)
            for batch in _batches(formulas)
            for failed, *rest in _answers(call, batch)
        ]

    def _evaluate(self, code: str, seconds: float = SECONDS_A_CALL) -> str:
        """Run a script in V8. Raises _LimitError, after which V8 is a new one."""
        seconds *= self._patience
        with self._lock:
            if self._context is None:
                # In a thread without an event loop: MiniRacer adopts the loop of the thread that
                # constructs it, and then takes no time limit. A notebook always runs one.
                with ThreadPoolExecutor(1) as executor:
                    self._context = executor.submit(MiniRacer).result()
                self._context.set_hard_memory_limit(MEMORY_BYTES)
                self._context.eval(self._script)
            start = time.process_time()
            try:
                return str(self._context.eval(code, timeout_sec=seconds))
            except JSTimeoutException:
                starved = time.process_time() - start < _STARVED_SHARE * seconds
                limit = _LimitError("timeout", f"took longer than {seconds} s", starved)
            except JSOOMException:
                limit = _LimitError("memory", f"took more than {MEMORY_BYTES >> 20} MB of memory")
            except JSEvalException as error:
                limit = _LimitError("parse", f"broke the engine: {str(error)[:200]}")
            self._discard_context(limit)
            raise limit

    def _discard_context(self, limit: _LimitError) -> None:
        """Ask the stopped V8 for its progress and discard it: its state may be inconsistent."""
        self.rebuilds += 1
        context, self._context = self._context, None
        assert context is not None
        # V8 reports the stop a little later, and the first call may fail with that report; a context
        # that is closed before the report would print an error.
        for _ in range(2):
            with contextlib.suppress(JSEvalException):
                progress = context.eval("texlens.stopped()", timeout_sec=0.3)
                limit.answers, limit.seconds = json.loads(str(progress))
                break
        context.close()


# SVG text, and width, height above and depth below the baseline in em.
SvgPicture = tuple[str, float, float, float]


def _svg_from_json(result: list[Any]) -> SvgPicture:
    text, width, height, depth = result
    return text, width / 1_000, height / 1_000, depth / 1_000


# [0, result], or 1 and the fields of a Failure.
Answer = list[Any]


def _answers(call: Callable[..., list[Answer]], batch: list[str]) -> list[Answer]:
    """The answers for a batch. Where it exceeds a limit, only the formula that did so fails."""
    answers: list[Answer] = []
    while len(batch) - len(answers) > 1:
        try:
            return answers + call(batch[len(answers) :])
        except _LimitError as limit:
            answers += limit.answers
            if len(answers) == len(batch):  # the time was up only after the last one
                return answers
            if limit.seconds > _CAUSE_SHARE * SECONDS_A_CALL:
                answers.append(limit.answer())
            else:
                answers.append(_answer(call, batch[len(answers)]))
    return answers + [_answer(call, formula) for formula in batch[len(answers) :]]


def _answer(call: Callable[..., list[Answer]], formula: str) -> Answer:
    """The answer for one formula, which gets a second try if it lacked processor time."""
    if len(formula) > MAX_CHARACTERS:
        message = f"has {len(formula)} characters, more than {MAX_CHARACTERS}"
        return [1, message, None, "too_long"]
    for seconds in (SECONDS_A_CALL, SECONDS_AGAIN):
        try:
            return call([formula], seconds)[0]
        except _LimitError as limit:
            answer = limit.answer()
            if not limit.starved:
                break
    return answer


class _LimitError(Exception):
    """A call was stopped: why, whether it lacked processor time, and its progress."""

    def __init__(self, kind: str, message: str, starved: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.starved = starved
        self.answers: list[Answer] = []  # of the formulas before the one that was stopped
        self.seconds = 0.0  # that this one had taken

    def answer(self) -> Answer:
        """The failure of the formula that was stopped."""
        return [1, self.message, None, self.kind]


def _batches(formulas: Sequence[str]) -> Iterator[list[str]]:
    """Batches bounded in number and characters; a formula that is too long is a batch."""
    batch: list[str] = []
    characters = 0
    for formula in formulas:
        full = len(batch) == _FORMULAS_A_CALL or characters + len(formula) > _CHARACTERS_A_CALL
        if batch and full:
            yield batch
            batch, characters = [], 0
        batch.append(formula)
        characters += len(formula)
    if batch:
        yield batch


def fonts() -> list[str]:
    """MathJax's fonts: `tex`, and those of the package `texlens-fonts` if it is installed."""
    if importlib.util.find_spec("texlens_fonts") is None:
        return ["tex"]
    files = resources.files("texlens_fonts").joinpath("js").iterdir()
    scripts = sorted(file.name for file in files if file.name.endswith(".js"))
    return ["tex", *(name.removesuffix(".js") for name in scripts)]


def _bundle(font: str) -> Traversable:
    """The script of a font. Raises InputError when its package is not installed."""
    if font == "tex":
        return resources.files("texlens.engine").joinpath("js", "engine.js")
    if font not in fonts():
        raise InputError(
            f"There is no font '{font}': there is {', '.join(fonts())}. More are in the package "
            "texlens-fonts."
        )
    return resources.files("texlens_fonts").joinpath("js", f"{font}.js")


_engines: dict[str, Engine] = {}


def get_engine(font: str = "tex") -> Engine:
    """This process's engine for a font, started at the first call and closed at exit.

    A process forked from one with an engine gets its own; spawned ones are safer, since V8's
    threads do not survive a fork.
    """
    engine = _engines.get(font)
    if engine is not None and not engine.is_of_this_process:
        engine.close()
        engine = None
    if engine is None:
        engine = Engine(font=font)
        set_engine(engine)
    return engine


def set_engine(engine: Engine) -> None:
    """Make this the process's engine for its font, closed at exit. Call it before rendering."""
    _engines[engine.font] = engine
    # Without this the interpreter can wait for V8's threads for ever at exit.
    atexit.register(engine.close)
