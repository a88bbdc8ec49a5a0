"""Generating answers: the likeliest tokens, loops stopped, the limit kept, sampling repeatable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from texlens.reading.decoding.constraints import Constraint
from texlens.reading.decoding.generation import (
    GREEDY,
    Completion,
    DecodingConfig,
    Floats,
    GenerationBatch,
)

TEXTS = ["", *(f" {c}" for c in "{}xyz_^"), *"{}xyz_^", " \\left(", " \\right."]
END = 0
CONSTRAINT = Constraint(TEXTS, [END])
OPEN, CLOSE, X, Y, Z, SUB = (TEXTS.index(f" {c}") for c in "{}xyz_")
LEFT, RIGHT = len(TEXTS) - 2, len(TEXTS) - 1


def answers(
    wishes: Sequence[Sequence[int]], decoding: DecodingConfig = GREEDY, limit: int = 60
) -> list[Completion]:
    """What is written where the model wishes these tokens, one after the other, each at 0.9."""
    batch = GenerationBatch(len(wishes), decoding, end_tokens=[END], max_new_tokens=limit)
    step = 0
    while True:
        table = np.full((len(batch.rows), len(TEXTS)), np.log(0.1 / len(TEXTS)), dtype=np.float32)
        for place, row in enumerate(batch.rows):
            table[place, wishes[row][min(step, len(wishes[row]) - 1)]] = np.log(0.9)

        def row(place: int, table: Floats = table) -> Floats:
            return table[place]

        batch.append(table.argmax(1).tolist(), table.max(1).tolist(), row)
        if all(batch.done):
            return batch.completions()
        batch.drop_finished()
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


def test_a_constrained_loop_closes_what_is_open() -> None:
    (constrained,) = answers([[LEFT, OPEN, *[X, Y, Z] * 30]], DecodingConfig(CONSTRAINT), limit=100)
    assert constrained.cut == "loop"
    assert constrained.tokens[-2:] == (CLOSE, RIGHT)
    assert len(constrained.tokens) < 40
    assert len(constrained.logprobs) == len(constrained.tokens) + 1  # the end token's


def test_a_constrained_answer_closes_at_the_limit() -> None:
    wished = [[OPEN, X, LEFT, Y, Z, OPEN, X, X, Y, Z, Y, X, Z, Z]]
    (free,) = answers(wished, limit=9)
    assert len(free.tokens) == 9
    assert free.cut == "limit"
    (constrained,) = answers(wished, DecodingConfig(CONSTRAINT), limit=9)
    assert len(constrained.tokens) == 8
    assert constrained.tokens[-2:] == (RIGHT, CLOSE)
    assert constrained.cut == "limit"


def test_a_constraint_takes_the_likeliest_of_what_may_come() -> None:
    (answer,) = answers([[X, SUB, SUB, OPEN, Y, END, CLOSE, END]], DecodingConfig(CONSTRAINT))
    assert answer.tokens[:2] == (X, SUB)
    assert SUB not in answer.tokens[2:]
    assert answer.logprobs[2] < np.log(0.1)


def test_sampling_is_the_same_for_the_same_seed_and_any_batch() -> None:
    wished = [[X, Y, Z, X, Y, END], [Z, Z, END]]
    sampled = [answers(wished, DecodingConfig(CONSTRAINT, 3.0, seed)) for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1]
    assert sampled[0] != sampled[2]
    assert answers(wished[1:], DecodingConfig(CONSTRAINT, 3.0, 1)) == sampled[0][1:]


def test_complete_answers_leave_the_batch() -> None:
    batch = GenerationBatch(5, GREEDY, end_tokens=[END], max_new_tokens=9)
    table = np.zeros((5, len(TEXTS)), dtype=np.float32)
    batch.append([X, END, Y, END, END], [0.0] * 5, lambda row: table[row])
    assert batch.done == [False, True, False, True, True]
    assert batch.drop_finished() == [0, 2]
    assert batch.rows == [0, 2]
    assert batch.drop_finished() is None


def test_where_the_model_would_end_a_constrained_answer_closes_and_adds_nothing() -> None:
    (answer,) = answers([[LEFT, OPEN, X, END]], DecodingConfig(CONSTRAINT))
    assert answer.tokens == (LEFT, OPEN, X, CLOSE, RIGHT)
    assert answer.cut is None
    assert answer.finished


def test_a_script_is_scored_beside_an_answer_that_is_generated() -> None:
    wish, script = [X, Y, END], (X, Z)
    scored, generated = answers([wish, wish], DecodingConfig(scripts=(script, None)))
    assert scored.tokens == script
    low = np.log(0.1 / len(TEXTS))
    assert scored.logprobs == pytest.approx([np.log(0.9), low, np.log(0.9)])
    assert generated == answers([wish])[0]


def test_watched_tokens_are_recorded_at_every_step() -> None:
    (answer,) = answers([[X, Y, END]], DecodingConfig(watched=(Y, END)))
    low, high = np.log(0.1 / len(TEXTS)), np.log(0.9)
    assert answer.watched == pytest.approx(np.array([[low, low], [high, low], [low, high]]))
