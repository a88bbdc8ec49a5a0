"""Vision attention by groups of equal length is the stock attention, outputs and gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from texlens.model.shape import Shape, build_model
from texlens.model.tokenizer import build_tokenizer
from texlens.model.vision_attention import BatchedVisionAttention, batch_vision_attention


@pytest.fixture(scope="module")
def stock() -> Any:
    """The vision tower of a tiny model, of transformers' own classes."""
    torch.manual_seed(0)
    shape = Shape(
        vision_width=32, vision_layers=2, vision_heads=2, vision_mlp=48,
        text_width=32, text_layers=1, text_heads=2, text_key_value_heads=1, text_mlp=48,
    )  # fmt: skip
    return build_model(shape, build_tokenizer(["x + y"], min_count=1)).model.visual


@pytest.mark.parametrize(
    "grids",
    [
        [(1, 4, 8)] * 3,  # one size
        [(1, 4, 8), (1, 2, 6), (1, 4, 8), (1, 8, 4), (1, 2, 2)],  # several, mixed
        [(1, 6, 10)],
    ],
)
def test_outputs_and_gradients_are_the_stock_ones(
    stock: Any, grids: list[tuple[int, int, int]]
) -> None:
    batched = copy.deepcopy(stock)
    batch_vision_attention(batched)
    assert sum(isinstance(m, BatchedVisionAttention) for m in batched.modules()) == 2
    grid = torch.tensor(grids)
    torch.manual_seed(1)
    patches = torch.randn(int(grid.prod(dim=1).sum()), 3 * 2 * 8 * 8)
    weight = torch.randn(patches.shape[0] // 4, 32)
    outputs, gradients = [], []
    for tower in (stock, batched):
        tower.zero_grad()
        inputs = patches.clone().requires_grad_()
        seen = tower(inputs, grid_thw=grid).pooler_output
        (seen * weight).sum().backward()
        outputs.append(seen.detach())
        gradients.append([inputs.grad, *(p.grad for p in tower.parameters())])
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(gradients[1], gradients[0], strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_pictures_do_not_see_each_other(stock: Any) -> None:
    batched = copy.deepcopy(stock)
    batch_vision_attention(batched)
    torch.manual_seed(2)
    first, second = torch.randn(32, 384), torch.randn(32, 384)
    grid = torch.tensor([(1, 4, 8)])
    alone = batched(first, grid_thw=grid).pooler_output
    both = batched(torch.cat([first, second]), grid_thw=grid.repeat(2, 1)).pooler_output
    torch.testing.assert_close(both[: len(alone)], alone, rtol=1e-4, atol=1e-5)
