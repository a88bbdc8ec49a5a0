"""Products by oneDNN are those of PyTorch's own, and so are their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from texlens.train.network import onednn


@pytest.mark.parametrize("shape", [(40, 24), (3, 50, 24), (2, 3, 24)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_values_and_gradients_are_those_of_pytorch(shape: tuple[int, ...], has_bias: bool) -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(16, 24), torch.randn(16) if has_bias else None
    x, upstream = torch.randn(shape), torch.randn((*shape[:-1], 16))
    results: list[list[Tensor]] = []
    for function in (functional.linear, onednn.linear):
        leaves = [x.clone(), weight.clone(), *([] if bias is None else [bias.clone()])]
        for leaf in leaves:
            leaf.requires_grad_()
        output = function(leaves[0], leaves[1], leaves[2] if has_bias else None)
        output.backward(upstream)
        results.append([output.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)])
    assert len(results[0]) == len(results[1]) == 3 + has_bias
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def test_frozen_inputs_get_no_gradient_and_other_types_the_plain_product() -> None:
    layer = nn.Sequential(nn.Linear(8, 8))
    onednn.use_onednn(layer)
    assert type(layer[0]) is onednn.OneDnnLinear
    layer[0].weight.requires_grad_(False)
    x = torch.randn(64, 8)
    layer(x).sum().backward()
    assert layer[0].weight.grad is None
    torch.testing.assert_close(layer[0].bias.grad, torch.full((8,), 64.0))
    half = layer.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.float()(x).dtype == torch.bfloat16
