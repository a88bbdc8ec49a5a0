"""The tokeniser: any text comes back, and one LaTeX token is one entry."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from texlens.model.prompt_config import PromptConfig
from texlens.model.tokenizer import (
    _PRE_TOKEN,
    IM_END,
    SPECIAL_TOKENS,
    build_tokenizer,
    count_tokens,
)

FORMULAS = [
    r"\frac { a } { b } + x ^ { 2 } = \sum _ { i } y _ { i }",
    r"\left( \begin{array} { c c } { 1 } & { 0 } \\ { 0 } & { 1 } \end{array} \right)",
    r"\left\{ \sqrt { z } ( 1 - q ) \right.",
]
PROMPT_CONFIG = PromptConfig()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(
        FORMULAS, phrases=(PROMPT_CONFIG.system, PROMPT_CONFIG.instruction), min_count=1
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_comes_back(text: str) -> None:
    tokenizer = _one()
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


_built: list[Any] = []


def _one() -> Any:
    """One tokeniser for all examples: hypothesis takes no fixture of this module's scope."""
    if not _built:
        _built.append(build_tokenizer(FORMULAS, min_count=1))
    return _built[0]


@pytest.mark.parametrize("formula", FORMULAS)
def test_one_latex_token_is_one_entry(tokenizer: Any, formula: str) -> None:
    assert len(tokenizer(formula)["input_ids"]) == len(formula.split())


def test_an_unknown_command_falls_back_to_its_bytes(tokenizer: Any) -> None:
    ids = tokenizer(r"\nabla")["input_ids"]
    assert len(ids) == len(r"\nabla")
    assert tokenizer.decode(ids) == r"\nabla"


def test_the_prompt_is_few_tokens_and_special_tokens_are_single(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template(
        PROMPT_CONFIG.messages(), add_generation_prompt=True, tokenize=False
    )
    ids = tokenizer(text)["input_ids"]
    assert len(ids) < 20
    assert tokenizer.decode(ids) == text
    for token in SPECIAL_TOKENS:
        assert tokenizer(token)["input_ids"] == [tokenizer.convert_tokens_to_ids(token)]
    assert tokenizer.eos_token == IM_END
    assert tokenizer.padding_side == "left"


def test_the_vocabulary_holds_to_its_size_and_keeps_the_frequent() -> None:
    small = build_tokenizer([" ".join(["x + y"] * 9), r"\alpha"], size=269, min_count=1)
    assert len(small) <= 269
    assert len(small(" +")["input_ids"]) == 1
    assert len(small(r"\alpha")["input_ids"]) > 1


def test_saving_and_loading_changes_nothing(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for formula in [*FORMULAS, "é \\nabla <|im_end|>"]:
        assert again(formula)["input_ids"] == tokenizer(formula)["input_ids"]
    assert again.chat_template == tokenizer.chat_template


def test_tokens_are_counted_as_the_tokeniser_splits() -> None:
    formulas = [
        "\\left\\{ x \\right| \\begin{array*} \\\\ \\ \u00e9\n  a \\",
        " \t\\left x\\left",
        r"\frac{a}{b}\,\;\_1 \\ \right\rangle",
    ]
    split = Split(Regex(_PRE_TOKEN), behavior="isolated")
    pieces = [piece for formula in formulas for piece, _ in split.pre_tokenize_str(formula)]
    assert count_tokens(formulas) == Counter(piece.removeprefix(" ") for piece in pieces)
