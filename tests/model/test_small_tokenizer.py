"""The small models' tokeniser gives what the library `tokenizers` gives for the same file."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.model.small_tokenizer import SmallTokenizer

TEXTS = [
    r"\frac { a } { b } + \sqrt [ 3 ] { x } ^ { 2 }",
    r"\left( \begin{array} { c c } a & b \\ c & d \end{array} \right)",
    r"\left(\begin{array}{c*}\unknowncommand",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|vision_start|>",
    "line\nbreaks \t and  spaces ",
    "ünïcode 中文 𝛼",
    "\\",
    " ",
    "",
]


@pytest.fixture(scope="module")
def library() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("text", TEXTS)
def test_texts_have_the_same_tokens(library: Tokenizer, text: str) -> None:
    tokenizer = SmallTokenizer.from_folder(EMBEDDED)
    ids = tokenizer.encode(text)
    assert ids == library.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == library.decode(ids, skip_special_tokens=True)


def test_any_tokens_have_the_same_text(library: Tokenizer) -> None:
    tokenizer = SmallTokenizer.from_folder(EMBEDDED)
    assert tokenizer.size == library.get_vocab_size()
    choose = random.Random(0)
    for _ in range(2000):
        ids = [choose.randrange(tokenizer.size) for _ in range(choose.randrange(30))]
        assert tokenizer.decode(ids) == library.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("change", [{"merges": [["a", "b"]]}, {"type": "WordLevel"}])
def test_another_form_is_refused_in_a_sentence(tmp_path: Path, change: dict[str, object]) -> None:
    definition = json.loads((EMBEDDED / "tokenizer.json").read_text(encoding="utf-8"))
    definition["model"] |= change
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    with pytest.raises(InputError, match="is not a tokeniser of a small model"):
        SmallTokenizer.from_folder(tmp_path)
