"""Repairs of answers that do not parse: near the answer, and where the model was in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from texlens.latex import katex_valid
from texlens.model.load import EMBEDDED
from texlens.reading.decoding.constraints import Constraint
from texlens.reading.decoding.generation import Completion
from texlens.reading.decoding.repair import Repairer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))


@pytest.fixture(scope="module")
def repairer(tokenizer: Any) -> Repairer:
    texts = [tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size())]
    return Repairer(Constraint(texts, [tokenizer.token_to_id("<|im_end|>")]))


def repaired(
    repairer: Repairer,
    tokenizer: Any,
    latex: str,
    doubts: Mapping[tuple[int, str], float] | None = None,
    most: int = 3,
) -> list[str]:
    """Repairs of a formula whose every token is certain but at the doubts.

    A doubt is a step, what the model might have written there, and the probability of that.
    """
    tokens = tokenizer.encode(latex, add_special_tokens=False).ids
    logprobs = np.full(len(tokens) + 1, np.log(0.999))
    watched = np.full((len(tokens) + 1, len(repairer.watched)), np.log(1e-6))
    for (step, text), probability in (doubts or {}).items():
        column = repairer.watched.index(tokenizer.token_to_id(f" {text}".replace(" ", "Ġ")))
        watched[step, column] = np.log(probability)
        logprobs[step] = np.log(1 - probability)
    answer = Completion(tuple(tokens), tuple(logprobs), watched=watched)
    found = [tokenizer.decode(list(one.tokens)) for one in repairer.repairs(answer, most)]
    assert all(katex_valid(found))
    return found


def test_a_forgotten_brace_is_closed_where_the_model_was_in_doubt(
    repairer: Repairer, tokenizer: Any
) -> None:
    latex = " x ^ { 2 + y + z"
    assert repaired(repairer, tokenizer, latex, {(4, "}"): 0.3})[0] == " x ^ { 2 } + y + z"
    assert repaired(repairer, tokenizer, latex, {(6, "}"): 0.3})[0] == " x ^ { 2 + y } + z"


@pytest.mark.parametrize(
    ("latex", "doubts", "expected"),
    [
        (r" \left( x + y", {(4, r"\right."): 0.2}, r" \left( x + y \right."),
        (r" \left( x + y )", {(4, r"\right)"): 0.2}, r" \left( x + y \right)"),
        (r" \left( x + y )", {(0, "("): 0.2}, r" ( x + y )"),
        (r" ( x + y \right)", {(4, ")"): 0.2}, r" ( x + y )"),
        (r" x + y \right]", {(0, r"\left."): 0.2}, r" \left. x + y \right]"),
        (r" \frac { a } } { b }", {(4, "{"): 0.2}, r" \frac { a } { b }"),
        (r" x _ { 1 } _ { 2 }", {(5, "{"): 0.2}, r" x _ { 1 } { } _ { 2 }"),
        (r" \left\{ \begin{array} { l } a \\ b", {}, r" \left\{ \begin{array} { l } a \\ b \end{array} \right."),
    ],
)  # fmt: skip
def test_what_holds_a_formula_together_is_mended(
    repairer: Repairer,
    tokenizer: Any,
    latex: str,
    doubts: dict[tuple[int, str], float],
    expected: str,
) -> None:
    assert repaired(repairer, tokenizer, latex, doubts)[0] == expected


def test_two_faults_take_two_edits(repairer: Repairer, tokenizer: Any) -> None:
    latex = r" \frac { a } } { b } + \sqrt { c"
    doubts = {(4, "{"): 0.2, (12, "}"): 0.2}
    assert repaired(repairer, tokenizer, latex, doubts)[0] == r" \frac { a } { b } + \sqrt { c }"


def test_as_many_repairs_as_are_asked_for_all_different(repairer: Repairer, tokenizer: Any) -> None:
    doubts = dict.fromkeys([(4, "}"), (5, "}"), (6, "}"), (7, "}")], 0.1)
    found = repaired(repairer, tokenizer, " x ^ { 2 + y + z", doubts, most=4)
    assert len(set(found)) == 4


def test_beyond_repair(repairer: Repairer, tokenizer: Any) -> None:
    assert repaired(repairer, tokenizer, " & } _ ^ " * 30) == []
