"""Writing answers: the likeliest tokens, loops stopped, the limit kept, chance repeatable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from texlens.reading.answers import Answer
from texlens.reading.decoding.constraints import Guard
from texlens.reading.decoding.token_loop import GREEDY, DecodingConfig, Drafts, Floats

TEXTS = ["", *(f" {c}" for c in "{}xyz_^"), *"{}xyz_^", " \\left(", " \\right."]
END = 0
GUARD = Guard(TEXTS, [END])
OPEN, CLOSE, X, Y, Z, SUB = (TEXTS.index(f" {c}") for c in "{}xyz_")
LEFT, RIGHT = len(TEXTS) - 2, len(TEXTS) - 1


def answers(
    wishes: Sequence[Sequence[int]], decoding: DecodingConfig = GREEDY, limit: int = 60
) -> list[Answer]:
    """What is written where the model wishes these tokens, one after the other, each at 0.9."""
    drafts = Drafts(len(wishes), decoding, end_tokens=[END], max_new_tokens=limit)
    step = 0
    while True:
        table = np.full((len(drafts.rows), len(TEXTS)), np.log(0.1 / len(TEXTS)), dtype=np.float32)
        for place, row in enumerate(drafts.rows):
            table[place, wishes[row][min(step, len(wishes[row]) - 1)]] = np.log(0.9)

        def row(place: int, table: Floats = table) -> Floats:
            return table[place]

        drafts.write(table.argmax(1).tolist(), table.max(1).tolist(), row)
        if all(drafts.done):
            return drafts.answers()
        drafts.leave()
        step += 1


def test_answers_end_where_the_model_ends_them() -> None:
    first, second = answers([[X, Y, END], [X, Y, Z, X, END]])
    assert first.tokens == (X, Y)
    assert second.tokens == (X, Y, Z, X)
    assert first.finished
    assert len(first.logprobs) == 3
    assert first.confidence == pytest.approx(0.9)


def test_a_loop_is_stopped() -> None:
    wished = [[X, Y, Z, *[X, SUB, Y, SUB] * 30]]
    (free,) = answers(wished, limit=100)
    assert free.cut == "loop"
    assert len(free.tokens) < 40
    assert not free.finished


def test_a_guarded_loop_closes_what_is_open() -> None:
    (guarded,) = answers([[LEFT, OPEN, *[X, Y, Z] * 30]], DecodingConfig(GUARD), limit=100)
    assert guarded.cut == "loop"
    assert guarded.tokens[-2:] == (CLOSE, RIGHT)
    assert len(guarded.tokens) < 40
    assert len(guarded.logprobs) == len(guarded.tokens) + 1  # the end token's


def test_a_guarded_answer_closes_at_the_limit() -> None:
    wished = [[OPEN, X, LEFT, Y, Z, OPEN, X, X, Y, Z, Y, X, Z, Z]]
    (free,) = answers(wished, limit=9)
    assert len(free.tokens) == 9
    assert free.cut == "limit"
    (guarded,) = answers(wished, DecodingConfig(GUARD), limit=9)
    assert len(guarded.tokens) == 8
    assert guarded.tokens[-2:] == (RIGHT, CLOSE)
    assert guarded.cut == "limit"


def test_a_guard_takes_the_likeliest_of_what_may_come() -> None:
    (answer,) = answers([[X, SUB, SUB, OPEN, Y, END, CLOSE, END]], DecodingConfig(GUARD))
    assert answer.tokens[:2] == (X, SUB)
    assert SUB not in answer.tokens[2:]
    assert answer.logprobs[2] < np.log(0.1)  # the doubt is on record


def test_chance_is_the_same_for_the_same_seed_and_any_batch() -> None:
    wished = [[X, Y, Z, X, Y, END], [Z, Z, END]]
    drawn = [answers(wished, DecodingConfig(GUARD, 3.0, seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert answers(wished[1:], DecodingConfig(GUARD, 3.0, 1)) == drawn[0][1:]


def test_ended_answers_leave_the_batch() -> None:
    drafts = Drafts(5, GREEDY, end_tokens=[END], max_new_tokens=9)
    table = np.zeros((5, len(TEXTS)), dtype=np.float32)
    drafts.write([X, END, Y, END, END], [0.0] * 5, lambda row: table[row])
    assert drafts.done == [False, True, False, True, True]
    assert drafts.leave() == [0, 2]
    assert drafts.rows == [0, 2]
    assert drafts.leave() is None
