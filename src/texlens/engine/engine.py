"""One warm V8 with MathJax and KaTeX in it, and the limits that no formula can break."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import resources
from typing import Any, TypeVar

from py_mini_racer import JSEvalException, JSOOMException, JSTimeoutException, MiniRacer

from texlens.engine.boxes import Drawing, Failure, drawing_from_json

T = TypeVar("T")

MAX_CHARACTERS = 20_000  # of one formula; the longest of 100,000 published ones has 6,000
SECONDS_A_CALL = 1.2
MEMORY_BYTES = 768 * 2**20
# Formulas go to V8 in batches: a call costs 0.4 ms whatever it holds.
_FORMULAS_A_CALL = 64
_CHARACTERS_A_CALL = 24_000


class Engine:
    """A V8 with MathJax and KaTeX. Every method takes formulas and gives one result for each.

    A formula that exceeds the time or memory limit fails alone: the context is rebuilt and the
    rest of its batch goes on. One engine may be used from several threads; calls take turns.
    """

    def __init__(self) -> None:
        self._script = resources.files("texlens.engine").joinpath("js/engine.js").read_text("utf-8")
        self._lock = threading.Lock()
        self._context: MiniRacer | None = None
        self.rebuilds = 0

    @cached_property
    def signature(self) -> str:
        """The versions inside and a hash of the bundle: two engines that sign alike draw alike."""
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
        return self._each(
            "svg",
            formulas,
            lambda r: (r[0], r[1] / 1_000, r[2] / 1_000, r[3] / 1_000),
            display,
        )

    def mathml(self, formulas: Sequence[str], *, display: bool = True) -> list[str | Failure]:
        """Each formula as presentation MathML."""
        return self._each("mathml", formulas, str, display)

    def close(self) -> None:
        """Free V8. The next call starts it anew."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _each(
        self,
        function: str,
        formulas: Sequence[str],
        read: Callable[[Any], T],
        display: bool | None = None,
    ) -> list[T | Failure]:
        results: list[T | Failure] = []
        for batch in _batches(formulas):
            try:
                answers = self._call(function, batch, display)
            except _LimitError as limit:
                answers = self._one_by_one(function, batch, display, limit)
            for code, *rest in answers:
                if code == 0:
                    results.append(read(rest[0]))
                else:
                    message, position = rest[0], rest[1]
                    results.append(Failure(message, position, rest[2] if rest[2:] else "parse"))
        return results

    def _one_by_one(
        self, function: str, batch: list[str], display: bool | None, limit: _LimitError
    ) -> list[list[Any]]:
        """Run a batch again that broke a limit, so that only the guilty formula fails."""
        if len(batch) == 1:
            return [[1, limit.message, None, limit.kind]]
        answers = []
        for formula in batch:
            try:
                answers += self._call(function, [formula], display)
            except _LimitError as own:
                answers.append([1, own.message, None, own.kind])
        return answers

    def _call(self, function: str, batch: list[str], display: bool | None) -> list[list[Any]]:
        if len(batch) == 1 and len(batch[0]) > MAX_CHARACTERS:
            message = f"has {len(batch[0])} characters, more than {MAX_CHARACTERS}"
            return [[1, message, None, "too_long"]]
        arguments = json.dumps(batch) + ("" if display is None else f",{json.dumps(display)}")
        answers: list[list[Any]] = json.loads(
            self._evaluate(f"texlens.{function}({arguments})", SECONDS_A_CALL)
        )
        return answers

    def _evaluate(self, code: str, seconds: float | None = None) -> str:
        with self._lock:
            if self._context is None:
                self._context = self._build()
            try:
                return str(self._context.eval(code, timeout_sec=seconds))
            except JSTimeoutException as error:
                self._rebuild()
                raise _LimitError("timeout", f"took longer than {seconds} s") from error
            except JSOOMException as error:
                self._rebuild()
                raise _LimitError("memory", "took more memory than allowed") from error
            except JSEvalException as error:
                self._rebuild()
                raise _LimitError("parse", f"broke the engine: {str(error)[:200]}") from error

    def _build(self) -> MiniRacer:
        context = MiniRacer()
        context.set_hard_memory_limit(MEMORY_BYTES)
        context.eval(self._script)
        return context

    def _rebuild(self) -> None:
        self.rebuilds += 1
        if self._context is not None:
            # V8 reports the end of what was stopped a little later; this waits for it, since a
            # context that is closed before prints an error of its own.
            with contextlib.suppress(JSEvalException):
                self._context.eval("0", timeout_sec=0.3)
        self.close()


# SVG text, and width, height above and depth below the baseline in em.
SvgPicture = tuple[str, float, float, float]


class _LimitError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def _batches(formulas: Sequence[str]) -> Iterator[list[str]]:
    """Batches bounded in number and characters; a formula that is too long stands alone."""
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


_engine: Engine | None = None
_owner = 0


def get_engine() -> Engine:
    """The engine of this process, started at the first call.

    A process forked from one with an engine gets its own: V8's threads do not survive a fork.
    """
    global _engine, _owner
    if _engine is None or _owner != os.getpid():
        _engine, _owner = Engine(), os.getpid()
        # Without this the interpreter can wait for V8's threads for ever at exit.
        atexit.register(_engine.close)
    return _engine
