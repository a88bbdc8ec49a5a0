"""MathJax and KaTeX in one warm V8. It runs in a worker process: V8 can end the process it is in."""

from __future__ import annotations

import atexit
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any, cast

from py_mini_racer import JSEvalException, JSOOMException, JSTimeoutException, MiniRacer

from texlens.engine.fonts import bundle

HANG_SECONDS = 60.0
"""A call that takes longer hangs: `limits` keeps every formula far below."""
MEMORY_BYTES = 768 * 2**20

# [0, result]; [1, message, position or None]; or [2, message]: a fault, no verdict on the formula.
Answer = list[Any]
FAULT = 2


class V8:
    """The script of a font in V8, rebuilt where a call broke it. Calls of threads take turns."""

    def __init__(self, font: str) -> None:
        self._script = bundle(font).read_text("utf-8")
        self._context: MiniRacer | None = None
        self._lock = threading.RLock()
        # Otherwise the interpreter can wait for V8's threads for ever at exit.
        atexit.register(self._discard)

    def call(self, function: str, formulas: list[str], *arguments: bool) -> list[Answer]:
        """The answers of a function of `tools/engine/src/engine.js` for formulas.

        Where the call fails, each formula is tried alone, and only those that fail again have a
        fault.
        """
        parts = ",".join(json.dumps(part) for part in (formulas, *arguments))
        with self._lock:
            try:
                answers = json.loads(self._evaluate(f"texlens.{function}({parts})"))
                return cast("list[Answer]", answers)
            except (JSTimeoutException, JSOOMException, JSEvalException) as error:
                self._await_report()
                self._discard()
                if len(formulas) == 1:
                    return [[FAULT, _reason(error)]]
        return [self.call(function, [formula], *arguments)[0] for formula in formulas]

    def versions(self) -> dict[str, str]:
        """The versions of MathJax and KaTeX."""
        with self._lock:
            versions = json.loads(self._evaluate("JSON.stringify(texlens.versions)"))
        return cast("dict[str, str]", versions)

    def _evaluate(self, code: str) -> str:
        if self._context is None:
            # In a thread without an event loop: MiniRacer adopts the loop of the thread that
            # constructs it, and then takes no time limit. A job may run one.
            with ThreadPoolExecutor(1) as executor:
                self._context = executor.submit(MiniRacer).result()
            self._context.set_hard_memory_limit(MEMORY_BYTES)
            self._context.eval(self._script)
        return str(self._context.eval(code, timeout_sec=HANG_SECONDS))

    def _await_report(self) -> None:
        """V8 reports a stop a little later; a context that is closed before prints an error."""
        for _ in range(2):
            with suppress(JSEvalException):
                if self._context is not None:
                    self._context.eval("0", timeout_sec=0.3)
                break

    def _discard(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.close()


def _reason(error: Exception) -> str:
    if isinstance(error, JSTimeoutException):
        return f"took longer than {HANG_SECONDS:.0f} s"
    if isinstance(error, JSOOMException):
        return f"took more than {MEMORY_BYTES >> 20} MB of memory"
    return f"broke the engine: {str(error)[:200]}"


@cache
def get_v8(font: str) -> V8:
    """The V8 of this process for a font."""
    return V8(font)
