"""The guard: what a model writes under it parses, ends within the limit, and is any real formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from texlens.latex import check, normalize
from texlens.reading.decoding.constraints import Guard, Place


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    from texlens.model.load import EMBEDDED

    return AutoTokenizer.from_pretrained(EMBEDDED)


def token_texts(tokenizer: Any) -> list[str]:
    return [tokenizer.decode([i], skip_special_tokens=True) for i in range(len(tokenizer))]


@pytest.fixture(scope="module")
def guard(tokenizer: Any) -> Guard:
    return Guard(token_texts(tokenizer), [tokenizer.eos_token_id])


def written(guard: Guard, tokens: list[int], limit: int) -> Place | None:
    place: Place | None = guard.start(limit)
    for token in tokens:
        if place is not None:
            place = guard.advance(place, token)
    return place


@pytest.mark.parametrize("limit", [2, 5, 30, 200])
def test_garbage_parses_and_ends_within_the_limit(guard: Guard, tokenizer: Any, limit: int) -> None:
    chance = np.random.default_rng(limit)
    texts = token_texts(tokenizer)
    end = tokenizer.eos_token_id
    weights = np.array([6.0 if text and text.strip() in "{}_^&\\" else 1.0 for text in texts])
    formulas = []
    for _ in range(25):
        place, tokens = guard.start(limit), []
        while True:
            allowed = guard.allowed([place])[0]
            chances = weights * allowed
            if chance.random() < 0.95 and chances.sum() > chances[end]:
                chances[end] = 0
            token = int(chance.choice(len(texts), p=chances / chances.sum()))
            after = guard.advance(place, token)
            assert after is not None  # `allowed` and `advance` agree
            if token == end:
                break
            place = after
            tokens.append(token)
        assert len(tokens) < limit
        formulas.append(tokenizer.decode(tokens))
    assert [
        (c.message, f) for c, f in zip(check(formulas), formulas, strict=True) if not c.ok
    ] == []


def test_what_is_not_allowed_does_not_advance(guard: Guard, tokenizer: Any) -> None:
    place = written(guard, tokenizer(r"\frac { a } { x _ { 1 }")["input_ids"], 30)
    assert place is not None
    allowed = guard.allowed([place])[0]
    for token in range(len(allowed)):
        assert allowed[token] == (guard.advance(place, token) is not None)
    assert allowed[tokenizer(" }")["input_ids"][0]]
    assert not allowed[tokenizer(" _")["input_ids"][0]]
    assert not allowed[tokenizer.eos_token_id]


def test_commands_are_written_letter_by_letter(guard: Guard, tokenizer: Any) -> None:
    tokens = tokenizer(r"\circledast \approxeq x")["input_ids"]
    assert len(tokens) > 15
    place = written(guard, tokens, 60)
    assert place is not None
    assert guard.allowed([place])[0, tokenizer.eos_token_id]
    assert written(guard, tokenizer(r"\approxx")["input_ids"], 60) is None


def test_a_hurried_answer_closes_at_once(guard: Guard, tokenizer: Any) -> None:
    tokens = tokenizer(r"\left( \begin{array} { c } \frac { a")["input_ids"]
    place = written(guard, tokens, 200)
    assert place is not None
    assert not guard.is_short(place)
    place = guard.hurried(place)
    assert guard.is_short(place)
    while not (allowed := guard.allowed([place])[0])[tokenizer.eos_token_id]:
        token = int(np.flatnonzero(allowed)[0])
        tokens.append(token)
        after = guard.advance(place, token)
        assert after is not None
        place = after
    assert check([tokenizer.decode(tokens)])[0].ok


def test_other_tokenisers_do_not_fit(guard: Guard, tokenizer: Any) -> None:
    assert Guard.fits(token_texts(tokenizer))
    assert not Guard.fits(["", "}{", " the", "\\frac{", "_{", "x", "\\alpha", "){"])
    assert not Guard.fits(["", ""])


def test_real_formulas_can_be_written(guard: Guard, tokenizer: Any, shared_data: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "im2latex_train.parquet", columns=["latex_formula"])
    formulas = [normalize(text) for text in table["latex_formula"].slice(6500, 300).to_pylist()]
    formulas = [f for f, c in zip(formulas, check(formulas), strict=True) if c.ok]
    stopped = 0
    for formula in formulas:
        tokens = tokenizer(formula)["input_ids"]
        place = written(guard, [*tokens, tokenizer.eos_token_id], len(tokens) + 1)
        stopped += place is None
    assert stopped <= 3
