"""The lean forward pass gives what the stock class gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from texlens.latex import katex_valid
from texlens.model.load import Loaded, load_model
from texlens.reading.decoding import lean_forward as lean
from texlens.reading.decoding.constraints import constraint_for
from texlens.reading.decoding.generation import DecodingConfig
from texlens.reading.decoding.greedy import Decoder

SIZES = [(64, 32), (160, 32), (64, 48), (160, 32), (96, 96), (400, 64), (32, 32)]


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Loaded:
    return load_model(model_folder, dtype="float32", device="cpu")


def inputs(loaded: Loaded, sizes: list[tuple[int, int]] = SIZES) -> dict[str, torch.Tensor]:
    """A processor's batch of random pictures of these sizes."""
    random = np.random.default_rng(3)
    pictures = [
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]
    prompt = loaded.processor.apply_chat_template(
        loaded.prompt_config.messages(), tokenize=False, add_generation_prompt=True
    )
    batch = loaded.processor(
        text=[prompt] * len(pictures), images=pictures, padding=True, return_tensors="pt"
    )
    return dict(batch)


def test_vision_matches_the_stock_tower(loaded: Loaded) -> None:
    batch = inputs(loaded)
    grids = [(rows, columns) for _, rows, columns in batch["image_grid_thw"].tolist()]
    with torch.inference_mode():
        stock = loaded.model.model.visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"])
        for at_a_time in (1, 500, 100_000):
            vision = lean.Vision(loaded.model, patches_at_a_time=at_a_time)
            ours = torch.cat(vision.encode(batch["pixel_values"], grids))
            difference = (ours - stock.pooler_output).abs().max()
            assert difference < 1e-5 * stock.pooler_output.abs().max()


def test_tokens_and_probabilities_match_stock_generate(loaded: Loaded) -> None:
    decoder = Decoder(loaded.model, max_new_tokens=24)
    assert decoder.is_lean
    batch = inputs(loaded)
    ours, stock = decoder.decode(batch), decoder.generate(batch)
    assert [answer.tokens for answer in ours] == [answer.tokens for answer in stock]
    assert len({answer.tokens for answer in ours}) > 3
    for mine, theirs in zip(ours, stock, strict=True):
        assert mine.finished == theirs.finished
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_constrained_answers_match_stock_generate(loaded: Loaded, temperature: float) -> None:
    decoder = Decoder(loaded.model, max_new_tokens=16)
    tokenizer = loaded.processor.tokenizer

    def text(tokens: Sequence[int]) -> str:
        return str(tokenizer.decode(list(tokens), skip_special_tokens=True))

    constraint = constraint_for(text, len(tokenizer), decoder.end_tokens)
    assert constraint is not None
    decoding = DecodingConfig(constraint, temperature)
    batch = inputs(loaded)
    ours, stock = decoder.decode(batch, decoding), decoder.generate(batch, decoding)
    assert [answer.tokens for answer in ours] == [answer.tokens for answer in stock]
    assert [answer.cut for answer in ours] == [answer.cut for answer in stock]
    assert len({answer.tokens for answer in ours}) > 3
    for mine, theirs in zip(ours, stock, strict=True):
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)
    assert all(katex_valid([text(answer.tokens) for answer in ours]))


def test_rows_that_end_early_leave_the_others_alone(loaded: Loaded) -> None:
    """Makes frequent tokens end tokens, so that rows end at different steps."""
    decoder = Decoder(loaded.model, max_new_tokens=24)
    batch = inputs(loaded)
    free = decoder.decode(batch)
    ends = {answer.tokens[2 + 3 * row] for row, answer in enumerate(free[:5])}
    decoder.end_tokens = tuple(ends)
    for before, after in zip(free, decoder.decode(batch), strict=True):
        stop = next((i for i, token in enumerate(before.tokens) if token in ends), None)
        assert after.tokens == before.tokens[:stop]
        assert after.finished == (stop is not None)
        assert after.logprobs == pytest.approx(before.logprobs[: len(after.logprobs)], abs=1e-3)


def _sliding(model: Any) -> None:
    model.model.language_model.layers[0].self_attn.sliding_window = 8


def _windowed(model: Any) -> None:
    model.model.visual.fullatt_block_indexes = [0]


def _half(model: Any) -> None:
    model.to(torch.bfloat16)


def _quantised(model: Any) -> None:
    layer = model.model.language_model.layers[0].mlp
    layer.up_proj = torch.nn.Sequential(layer.up_proj)


@pytest.mark.parametrize("change", [_sliding, _windowed, _half, _quantised])
def test_other_models_are_left_to_the_stock_class(loaded: Loaded, change: Any) -> None:
    model = copy.deepcopy(loaded.model)
    assert lean.is_supported(model)
    change(model)
    assert not lean.is_supported(model)
