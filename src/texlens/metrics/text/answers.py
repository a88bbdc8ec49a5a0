r"""Faults of an answer: it is empty, repeats itself, or stops in the middle.

Each value is 1.0 where the answer has the fault. Unit: share of items, 0..1; lower is better.

- `empty`: nothing is left without math wrappers and white space.
- `loop`: the prediction ends in repetitions of one group of tokens (at least `LOOP_REPEATS` times
  and at least `LOOP_MIN_TOKENS` tokens), and the reference does not.
- `unfinished`: the recogniser reports that it was cut off (the line's `warnings` contain
  `unfinished`, or its `finish_reason` is `length`), or the prediction ends inside a brace,
  environment or `\left` that the reference closes, or with a single backslash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from texlens.metrics.base import Pair, PairMetric

LOOP_REPEATS = 6
LOOP_MIN_TOKENS = 24

_LEFT = re.compile(r"\\left(?![A-Za-z])")
_RIGHT = re.compile(r"\\right(?![A-Za-z])")


class AnswerFaults(PairMetric):
    """Empty, looping and unfinished answers."""

    keys = ("empty", "loop", "unfinished")
    lower_is_better = True

    def parameters_of(self, key: str) -> dict[str, object]:
        """The form of the answer, and what counts as a loop."""
        loop = {"repeats": LOOP_REPEATS, "tokens": LOOP_MIN_TOKENS} if key == "loop" else {}
        return {"text": "normal", **loop}

    def values(self, pair: Pair) -> dict[str, float | None]:
        """Three values, each 1.0 or 0.0."""
        gt, pred = pair.gt_tokens, pair.pred_tokens
        unfinished = _was_cut_off(pair) or (ends_open(pred) and not ends_open(gt))
        return {
            "empty": float(not pred),
            "loop": float(has_loop(pred) and not has_loop(gt)),
            "unfinished": float(unfinished),
        }


def has_loop(tokens: Sequence[object]) -> bool:
    """Whether the tokens end in a loop (see the module)."""
    for period in range(1, len(tokens) // LOOP_REPEATS + 1):
        span = period * max(LOOP_REPEATS, -(-LOOP_MIN_TOKENS // period))
        if span <= len(tokens) and tokens[-span:-period] == tokens[len(tokens) - span + period :]:
            return True
    return False


def ends_open(tokens: Sequence[str]) -> bool:
    r"""Whether the tokens end inside a brace, environment or `\left`, or with a single backslash."""
    awaited: list[str] = []
    for token in tokens:
        if token == "{":
            awaited.append("}")
        elif token.startswith(r"\begin{"):
            awaited.append(token.replace(r"\begin", r"\end"))
        elif _LEFT.match(token):
            awaited.append(r"\right")
        elif awaited and (
            token == awaited[-1] or (awaited[-1] == r"\right" and _RIGHT.match(token))
        ):
            awaited.pop()
    return bool(awaited) or (bool(tokens) and tokens[-1] == "\\")


def _was_cut_off(pair: Pair) -> bool:
    warnings = pair.extra.get("warnings")
    reported = isinstance(warnings, list) and "unfinished" in warnings
    return reported or pair.extra.get("finish_reason") == "length"
