"""Linear layers by oneDNN, for float32 on a CPU.

PyTorch multiplies float32 matrices by MKL, which uses no AVX-512 on processors that are not Intel's. oneDNN,
which every build of PyTorch for x86 contains, does: more than twice the products a second, with the
same result up to rounding. `torch.compile` chooses its own products, and cannot lower this one where
the number of rows is unknown.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROWS = 32  # below so many, MKL is as fast


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `functional.linear`: (..., in), (out, in) and (out) to (..., out), with gradients."""
    if (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.shape[:-1].numel() >= _ROWS
        and torch.backends.mkldnn.is_available()
        and not torch.compiler.is_compiling()
    ):
        output: Tensor = _Linear.apply(x, weight, bias)
        return output
    return functional.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _product(gradient, weight.t()) if for_x else None,
            _product(rows.t(), x.flatten(0, -2).t()) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in) times the transpose of weight (out, in), plus bias."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


class OneDnnLinear(nn.Linear):
    """A linear layer by oneDNN."""

    def forward(self, input: Tensor) -> Tensor:
        """The layer's output (..., out) for (..., in)."""
        return linear(input, self.weight, self.bias)


def use_onednn(network: nn.Module) -> None:
    """Make every plain linear layer of a network a `OneDnnLinear`. The weights stay the same."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDnnLinear
