"""Constrained decoding: what is written parses, ends within the limit, and may be any real formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from texlens.latex import check, normalize
from texlens.reading.decoding.constraints import ConstrainedAnswer, Constraint, constraint_for


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    from texlens.model.load import EMBEDDED

    return AutoTokenizer.from_pretrained(EMBEDDED)


def token_texts(tokenizer: Any) -> list[str]:
    return [tokenizer.decode([i], skip_special_tokens=True) for i in range(len(tokenizer))]


@pytest.fixture(scope="module")
def constraint(tokenizer: Any) -> Constraint:
    return Constraint(token_texts(tokenizer), [tokenizer.eos_token_id])


def written(constraint: Constraint, tokens: list[int], limit: int) -> ConstrainedAnswer | None:
    """The answer of these tokens; None if one of them is not allowed."""
    answer = constraint.begin(limit)
    return answer if all(answer.advance(token) for token in tokens) else None


def accepts(constraint: Constraint, tokenizer: Any, formula: str) -> bool:
    tokens = [*tokenizer(formula)["input_ids"], tokenizer.eos_token_id]
    return written(constraint, tokens, len(tokens)) is not None


@pytest.mark.parametrize("limit", [2, 5, 30, 200])
def test_garbage_parses_and_ends_within_the_limit(
    constraint: Constraint, tokenizer: Any, limit: int
) -> None:
    random = np.random.default_rng(limit)
    texts = token_texts(tokenizer)
    end = tokenizer.eos_token_id
    weights = np.array([1.8 if text and text.strip() in "{}_^&\\" else 0.0 for text in texts])
    formulas = []
    for _ in range(25):
        answer, tokens = constraint.begin(limit), []
        while True:
            scores = weights + random.gumbel(size=len(texts))
            scores[end] = -50.0 if random.random() < 0.95 else scores[end]
            token = answer.advance_to_best(scores)
            if token == end:
                break
            tokens.append(token)
        assert len(tokens) < limit
        formulas.append(tokenizer.decode(tokens))
    assert [
        (c.message, f) for c, f in zip(check(formulas), formulas, strict=True) if not c.ok
    ] == []


def test_what_is_not_allowed_does_not_advance(constraint: Constraint, tokenizer: Any) -> None:
    answer = written(constraint, tokenizer(r"\frac { a } { x _ { 1 }")["input_ids"], 30)
    assert answer is not None
    brace, script, letter = tokenizer(r"\alpha } _ b")["input_ids"][1:]
    assert not answer.advance(tokenizer.eos_token_id)
    assert not answer.advance(script)
    assert answer.advance(letter)
    assert answer.advance(script)
    assert not answer.advance(brace)


def test_commands_are_written_letter_by_letter(constraint: Constraint, tokenizer: Any) -> None:
    assert not {" \\approxeq", "\\approxeq"}.intersection(token_texts(tokenizer))
    assert accepts(constraint, tokenizer, r"a \approxeq")
    assert written(constraint, tokenizer(r"\approxx")["input_ids"], 60) is None


def test_an_unknown_command_is_not_the_beginning_of_a_longer_one() -> None:
    texts = ["", " \\d", *map(chr, range(32, 127))]
    constraint = Constraint(texts, [0])
    assert not constraint.begin(9).advance(texts.index(" \\d"))
    assert written(constraint, [texts.index(letter) for letter in r"\dagger"], 9) is not None


def test_a_last_space_is_allowed(constraint: Constraint, tokenizer: Any) -> None:
    space = token_texts(tokenizer).index(" ")
    tokens = [*tokenizer("x")["input_ids"], space, tokenizer.eos_token_id]
    assert written(constraint, tokens, 9) is not None


def test_an_answer_that_must_close_closes_at_once(constraint: Constraint, tokenizer: Any) -> None:
    answer = written(constraint, tokenizer(r"\left( \frac { a")["input_ids"], 200)
    assert answer is not None
    assert not answer.must_close
    answer.close_now()
    assert answer.must_close
    tokens = []
    while (token := answer.advance_to_best(np.zeros(len(tokenizer)))) != tokenizer.eos_token_id:
        tokens.append(token)
    assert len(tokens) <= 4
    assert check([r"\left( \frac { a" + tokenizer.decode(tokens)])[0].ok


def test_general_tokenizers_are_not_constrained() -> None:
    assert constraint_for(lambda tokens: "x", 150_000, [0]) is None


def test_real_formulas_can_be_written(
    constraint: Constraint, tokenizer: Any, shared_data: Path
) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "im2latex_train.parquet", columns=["latex_formula"])
    formulas = [normalize(text) for text in table["latex_formula"].slice(6500, 300).to_pylist()]
    formulas = [f for f, c in zip(formulas, check(formulas), strict=True) if c.ok]
    assert sum(not accepts(constraint, tokenizer, formula) for formula in formulas) <= 3
