"""The guard: answers that parse stay as they are, others become the likeliest that parses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from texlens.evaluate.demo import demo_pictures
from texlens.latex import katex_valid
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.backends.base import BackendName
from texlens.reading.decoding.constraints import constraint_for
from texlens.reading.decoding.generation import GREEDY, Completion, DecodingConfig, GenerationBatch
from texlens.reading.decoding.guard import Guard
from texlens.reading.pictures.framing import open_framed

LIMIT = 60  # tokens


class WishfulBackend:
    """A backend whose "pictures" are formulas: it wishes their tokens, each at 0.9."""

    batch_size = 2

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
        self.vocabulary = self.tokenizer.get_vocab_size()
        self.end_tokens = (self.tokenizer.token_to_id("<|im_end|>"),)
        self.decoded: list[int] = []  # the size of each batch

    def text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(list(tokens))

    def decode(
        self, pictures: Sequence[Any], decoding: DecodingConfig = GREEDY
    ) -> list[Completion]:
        self.decoded.append(len(pictures))
        wishes = [
            [*self.tokenizer.encode(text, add_special_tokens=False).ids, *self.end_tokens]
            for text in pictures
        ]
        batch = GenerationBatch(
            len(wishes), decoding, end_tokens=self.end_tokens, max_new_tokens=LIMIT
        )
        step = 0
        while not all(batch.done):
            table = np.full((len(wishes), self.vocabulary), np.log(1e-4), dtype=np.float32)
            for place, wish in enumerate(wishes):
                table[place, wish[min(step, len(wish) - 1)]] = np.log(0.9)
            likeliest = table.argmax(1).tolist()
            batch.append(likeliest, table.max(1).tolist(), table.__getitem__)
            step += 1
        return batch.completions()


@pytest.fixture(scope="module")
def backend() -> WishfulBackend:
    return WishfulBackend()


def guarded(backend: WishfulBackend, *wishes: str) -> list[Completion]:
    constraint = constraint_for(backend.text, backend.vocabulary, backend.end_tokens)
    assert constraint is not None
    backend.decoded.clear()
    return Guard(backend, constraint, LIMIT).decode(list(wishes), GREEDY)  # type: ignore[arg-type]


def test_answers_that_parse_are_read_once_and_stay(backend: WishfulBackend) -> None:
    wishes = (r" \frac { a } { b }", r" a \vspace {1mm} b")  # KaTeX refuses less than the grammar
    assert [backend.text(answer.tokens) for answer in guarded(backend, *wishes)] == list(wishes)
    assert backend.decoded == [2]


def test_an_answer_that_does_not_parse_is_repaired_and_its_neighbours_stay(
    backend: WishfulBackend,
) -> None:
    wishes = (r" x + y", r" \left| a | = \frac { b } { c }", r" x ^ { 2")
    first, second, third = (backend.text(one.tokens) for one in guarded(backend, *wishes))
    assert first == wishes[0]
    assert second in (
        r" | a | = \frac { b } { c }",
        r" \left| a \right| = \frac { b } { c }",
        r" a | = \frac { b } { c }",
    )
    assert third in (" x ^ { 2 }", " x ^ 2")
    assert max(backend.decoded[1:]) <= backend.batch_size


def test_a_repair_has_the_probabilities_that_the_model_gives_it(backend: WishfulBackend) -> None:
    (answer,) = guarded(backend, r" x ^ { 2")
    (scored,) = backend.decode([r" x ^ { 2"], DecodingConfig(scripts=(answer.tokens,)))
    assert answer.logprobs == scored.logprobs
    assert answer.finished


def test_a_repair_keeps_to_the_limit(backend: WishfulBackend) -> None:
    (answer,) = guarded(backend, r" \left( " + " ".join(str(n) for n in range(10, 38)))
    assert len(answer.tokens) < LIMIT
    assert katex_valid([backend.text(answer.tokens)]) == [True]


def test_a_loop_is_closed_and_remains_a_loop(backend: WishfulBackend) -> None:
    (answer,) = guarded(backend, r" \left( " + "x y z " * 30)
    assert answer.cut == "loop"
    assert katex_valid([backend.text(answer.tokens)]) == [True]


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_the_demo_parses_and_loses_nothing(name: BackendName) -> None:
    reader = Reader(backend=name)
    pictures = [open_framed(picture.content, reader.frame) for picture in demo_pictures()]
    assert reader.constraint is not None
    free = reader.backend.decode(pictures)
    held = Guard(reader.backend, reader.constraint, reader.max_new_tokens).decode(pictures, GREEDY)
    parses = katex_valid([reader.backend.text(answer.tokens) for answer in free])
    for was_right, before, after in zip(parses, free, held, strict=True):
        assert before.tokens == after.tokens or not was_right
    assert all(katex_valid([reader.backend.text(answer.tokens) for answer in held]))
