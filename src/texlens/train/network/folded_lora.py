"""LoRA as one matrix product, for small networks: the update is added to the weight first.

PEFT computes x W + s (x A) B, which passes over the activations several times more than x W alone.
In a step of a small network the number of tokens is far larger than the width of a layer, so
W + s A B, of the size of the weight, costs almost nothing, and x (W + s A B) is one product. The
function and its gradients are the same up to rounding: `tests/train/network` compares both.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor

from texlens.train.network.onednn import linear


class FoldedLora(LoraLinear):
    """PEFT's LoRA on a linear layer, with one active adapter and no dropout."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output (..., out) for x (..., in)."""
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            output: Tensor = super().forward(x, *args, **kwargs)
            return output
        name = self.active_adapters[0]
        into: Any = self.lora_A[name].weight  # (rank, in)
        out: Any = self.lora_B[name].weight  # (out, rank)
        base: Any = self.get_base_layer()
        weight = torch.addmm(base.weight.to(out.dtype), out, into, alpha=self.scaling[name])
        if not torch.is_autocast_enabled(x.device.type):
            weight = weight.to(x.dtype)
        return linear(x, weight, base.bias)


def fold_lora(network: torch.nn.Module) -> None:
    """Make every LoRA layer without dropout of a PEFT model a `FoldedLora`."""
    for module in network.modules():
        if type(module) is LoraLinear and all(
            isinstance(dropout, torch.nn.Identity) for dropout in module.lora_dropout.values()
        ):
            module.__class__ = FoldedLora
