"""The rewards that look at the formula: `cdm` and `layout` of the answer as drawn.

They are computed in a process of their own, which this module is when it is run: it reads answers
to one reference from its standard input and writes what it sees to its standard output. The process
may spend `SECONDS_AN_ANSWER` of processor time on one request; then the operating system ends it.
So there is no formula, and no bug in any library, that could hold up a training run:
`texlens.train.rewards.pool` sees the process end, and goes on with the next, which stands ready.
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
# Longer formulas are not drawn: they would take longer than that. The longest of im2latex's 7,000
# has 485; what is longer than this is almost always an answer that runs in circles.
MAX_DRAWN_CHARACTERS = 2_000
MAX_DRAWN_DEPTH = 40  # of braces, environments and \\left inside one another; im2latex has 7

# The engine's limits are by the clock, which on a busy machine would decide rewards.
_PATIENCE = 20.0

READY = "ready"
REFERENCE_DRAWN = "reference"

# Drawn before the first answer, so that V8 has compiled what it will need.
_WARM_UP = (
    r"\frac { a } { b } + x _ { 1 } ^ { 2 } = \sum _ { i = 1 } ^ { n } \sqrt { y _ { i } }",
    r"\left( \begin{array} { c c } { \alpha } & { 0 } \\ { 0 } & { \bar { \beta } } \end{array} \right)",
    r"\int _ { 0 } ^ { \infty } \mathrm { e } ^ { - \lambda t } \, d t \leq \lim _ { k \to 0 } f ( k )",
)
_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was seen of one answer: KaTeX parses it; `cdm` and `layout`, 0..1, 0 where it does not.

    `error` says why a value is 0 that could have been more: a sentence, or "timeout".
    """

    valid: bool = False
    cdm: float = 0.0
    layout: float = 0.0
    error: str | None = None


class Renderer:
    """Draws references and answers with the engine of this process and compares them."""

    def __init__(self) -> None:
        self._cdm = Cdm()
        self._layout = Layout()
        self._drawings = DrawingStore(on_disk=False)
        self._drawn_reference: str | None = None

    def warm_up(self) -> None:
        """Draw and compare a few formulas, so that the first answer takes no longer than others."""
        for turn in range(_WARM_UP_ROUNDS):
            for formula in _WARM_UP:
                self.score(formula, [f"{formula} + {turn}"])

    def draw_reference(self, reference: str) -> None:
        """Draw a reference, so that the time it takes is not counted to its first answer."""
        if reference != self._drawn_reference and not _too_large("reference", reference):
            self._compare(reference, [""])  # nothing is cheaply compared
        self._drawn_reference = reference

    def score(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        """Compare answers with their reference; math wrappers are taken off. One result an answer."""
        if error := _too_large("reference", reference):
            return [Rendered(found.katex, error=error) for found in check(answers)]
        seen: dict[str, Rendered] = {}
        small = []
        for answer in answers:
            if error := _too_large("answer", answer):
                seen[answer] = Rendered(error=error)
            else:
                small.append(answer)
        valid = []
        for answer, found in zip(small, check(small), strict=True):
            if found.katex:
                valid.append(answer)
            else:
                seen[answer] = Rendered(error=f"does not parse: {found.message}")
        seen.update(zip(valid, self._compare(reference, valid), strict=True))
        return [seen[answer] for answer in answers]

    def _compare(self, reference: str, answers: Sequence[str]) -> list[Rendered]:
        # Both metrics look at the raw texts alone.
        pairs = [Pair("", reference, answer, "", "", (), ()) for answer in answers]
        both = [m.score_items(pairs, self._drawings) for m in (self._cdm, self._layout)]
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
    """Why a formula is not even tried; None for one that is small enough."""
    if len(formula) > MAX_DRAWN_CHARACTERS:
        return f"the {name} has {len(formula)} characters, too many to draw"
    depth = deepest = 0
    for token in _NESTING.findall(formula):
        depth += (token in _DEEPER) - (token in _HIGHER)
        deepest = max(deepest, depth)
    return (
        f"the {name} is nested {deepest} deep, too deep to draw"
        if deepest > MAX_DRAWN_DEPTH
        else None
    )


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """End this process when the block takes more processor time, whatever code it is in.

    Time in which the process waits for a busy machine does not count. Without effect on Windows.
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
    """Answer requests until they end: lines `[reference, [answer, ...]]`, all of them JSON.

    The reply is a line `"reference"` when the reference is drawn, then a list with an object an answer.
    Each of the two may take `seconds` of processor time.
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
            renderer.draw_reference(reference)
        reply(REFERENCE_DRAWN)
        with processor_time_limit(seconds):
            seen = _score(renderer, reference, answers)
        reply([asdict(rendered) for rendered in seen])


def _score(renderer: Renderer, reference: str, answers: list[str]) -> list[Rendered]:
    """What is seen of answers; one that a metric fails at fails alone."""
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
