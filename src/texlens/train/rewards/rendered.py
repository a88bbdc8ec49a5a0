"""The rewards of the rendered formula: `cdm` and `layout` of the answer.

They are computed in a process of their own, which runs this module: it reads answers to one
reference from its standard input and writes their scores to its standard output. The process may
use `SECONDS_AN_ANSWER` of processor time for one request; then the operating system ends it. So no
formula, and no bug in any library, can hold up a training run: `rewards.pool` notices the end of the
process and continues with the next, which is ready.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TextIO

from texlens.engine import Engine, set_engine
from texlens.latex import check
from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.cdm.metric import Cdm
from texlens.metrics.layout.metric import Layout

SECONDS_AN_ANSWER = 0.05
# Longer formulas are not rendered: they would take longer than that. The longest of im2latex's 7,000
# has 485 characters; a longer answer is almost always a loop.
MAX_RENDERED_CHARACTERS = 2_000
MAX_RENDERED_DEPTH = 40  # of braces, environments and \\left inside one another; im2latex has 7

# The engine's limits are by the clock; on a busy machine they would change rewards.
_PATIENCE = 20.0

READY = "ready"
REFERENCE_RENDERED = "reference"

# Rendered before the first answer, so that V8 has compiled what it will need.
_WARM_UP = (
    r"\frac { a } { b } + x _ { 1 } ^ { 2 } = \sum _ { i = 1 } ^ { n } \sqrt { y _ { i } }",
    r"\left( \begin{array} { c c } { \alpha } & { 0 } \\ { 0 } & { \bar { \beta } } \end{array} \right)",
    r"\int _ { 0 } ^ { \infty } \mathrm { e } ^ { - \lambda t } \, d t \leq \lim _ { k \to 0 } f ( k )",
)
_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Rendered:
    """The scores of one answer: whether KaTeX parses it, and `cdm` and `layout`, 0..1, else 0.

    `error` is the reason of values that are 0 or may be too low: a sentence, or "timeout".
    """

    valid: bool = False
    cdm: float = 0.0
    layout: float = 0.0
    error: str | None = None


class Renderer:
    """Renders references and answers with the engine of this process and compares them."""

    def __init__(self) -> None:
        self._metrics = (Cdm(), Layout())
        self._drawings = DrawingStore(on_disk=False)
        self._last_reference: str | None = None

    def warm_up(self) -> None:
        """Render and compare a few formulas, so that the first answer takes no longer than others."""
        for turn in range(_WARM_UP_ROUNDS):
            for formula in _WARM_UP:
                self.score(formula, [f"{formula} + {turn}"])

    def render_reference(self, reference: str) -> None:
        """Render a reference, so that its time does not count for its first answer."""
        if reference != self._last_reference and not _too_large("reference", reference):
            self._compare(reference, [""])  # comparing with nothing is cheap
        self._last_reference = reference

    def score(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """Compare answers with their reference; math delimiters are removed. One result per answer."""
        if error := _too_large("reference", reference):
            return [Rendered(found.katex, error=error) for found in check(answers)]
        scores: dict[str, Rendered] = {}
        for answer in answers:
            if error := _too_large("answer", answer):
                scores[answer] = Rendered(error=error)
        small = [answer for answer in answers if answer not in scores]
        for answer, found in zip(small, check(small), strict=True):
            if not found.katex:
                scores[answer] = Rendered(error=f"does not parse: {found.message}")
        valid = [answer for answer in small if answer not in scores]
        scores |= zip(valid, self._compare(reference, valid), strict=True)
        return [scores[answer] for answer in answers]

    def _compare(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        # Both metrics use the raw texts alone.
        pairs = [Pair("", reference, answer, "", "", (), ()) for answer in answers]
        both = [m.score_items(pairs, self._drawings) for m in self._metrics]
        return [
            Rendered(
                True,
                cdm.values["cdm"] or 0.0,
                layout.values["layout"] or 0.0,
                "; ".join((*cdm.warnings, *layout.warnings)) or None,
            )
            for cdm, layout in zip(*both, strict=True)
        ]


_NESTING = re.compile(r"\\(?:begin|end|left|right)(?![A-Za-z])|\\.|[{}]", re.DOTALL)
_DEEPER, _HIGHER = frozenset(["{", r"\begin", r"\left"]), frozenset(["}", r"\end", r"\right"])


def _too_large(name: str, formula: str) -> str | None:
    """Why a formula is not rendered; None for one that is small enough."""
    if len(formula) > MAX_RENDERED_CHARACTERS:
        return f"the {name} has {len(formula)} characters, too many to render"
    depth = deepest = 0
    for token in _NESTING.findall(formula):
        depth += (token in _DEEPER) - (token in _HIGHER)
        deepest = max(deepest, depth)
    return (
        f"the {name} is nested {deepest} deep, too deep to render"
        if deepest > MAX_RENDERED_DEPTH
        else None
    )


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """End this process when the block takes more processor time, whatever code runs in it.

    Time in which the process waits for the processor does not count. Without effect on Windows.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(requests: TextIO, replies: TextIO, seconds: float) -> None:
    """Answer requests until they end: lines of JSON, `[reference, [answer, ...]]`.

    The reply is a line `"reference"` when the reference is rendered, then a list with an object per
    answer. Each of the two may take `seconds` of processor time.
    """

    def reply(document: object) -> None:
        replies.write(json.dumps(document) + "\n")
        replies.flush()

    renderer = Renderer()
    renderer.warm_up()
    reply(READY)
    for line in requests:
        reference, answers = json.loads(line)
        with suppress(Exception), processor_time_limit(seconds):
            renderer.render_reference(reference)
        reply(REFERENCE_RENDERED)
        with processor_time_limit(seconds):
            scores = _score(renderer, reference, answers)
        reply([asdict(rendered) for rendered in scores])


def _score(renderer: Renderer, reference: str, answers: list[str]) -> list[Rendered]:
    """The scores of answers; one on which a metric fails gets 0 alone."""
    try:
        return renderer.score(reference, answers)
    except Exception as error:  # no answer may end a run
        if len(answers) == 1:
            return [Rendered(error=f"{type(error).__name__}: {error}"[:300])]
        return [_score(renderer, reference, [answer])[0] for answer in answers]


def main() -> None:
    """Serve the process that started this one, through standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to handle
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    set_engine(Engine(patience=_PATIENCE))
    # What a library prints goes to standard error, not between the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdin.reconfigure(encoding="ascii")  # type: ignore[union-attr]
    try:
        serve(sys.stdin, replies, float(sys.argv[1]))
    except BrokenPipeError:  # the other process has ended
        os._exit(1)


if __name__ == "__main__":
    main()
