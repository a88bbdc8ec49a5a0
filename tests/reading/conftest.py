"""A small model with random weights, loud enough that its answers differ from picture to picture."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from texlens.model.contract import Contract
    from texlens.model.processor import build_processor
    from texlens.model.shape import Shape, build_model
    from texlens.model.tokenizer import build_tokenizer

    folder = tmp_path_factory.mktemp("model")
    contract = Contract(pixels_per_em=13.84, min_pixels=256, max_pixels=200_000, max_new_tokens=24)
    formulas = [r"\frac { a } { b } + x ^ { 2 } = \sum _ { i } y _ { i }", r"\sqrt { z } ( 1 - q )"]
    tokenizer = build_tokenizer(
        formulas, phrases=(contract.system, contract.instruction), min_count=1
    )
    shape = Shape(
        vision_width=64, vision_layers=2, vision_heads=2, vision_mlp=96,
        text_width=64, text_layers=2, text_heads=4, text_key_value_heads=2, text_mlp=96,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_model(shape, tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(6)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    build_processor(shape, tokenizer, contract).save_pretrained(folder)
    contract.save(folder)
    return folder
