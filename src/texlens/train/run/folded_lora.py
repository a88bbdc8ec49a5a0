"""LoRA in one product for small networks: the update is added to the weight before it is applied.

PEFT computes x W + s (x A) B, which goes over the activations several times more than x W alone. A
step of a small network has far more tokens than its layers are wide, so W + s A B, of the size of
the weight, costs next to nothing, and x (W + s A B) is one product. Same function, same gradients
up to rounding: `tests/train` compares both.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor
from torch.nn import functional


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
        return functional.linear(x, weight, base.bias)


def fold_lora(network: torch.nn.Module) -> None:
    """Let every LoRA layer without dropout of a PEFT model compute in one product."""
    for module in network.modules():
        if type(module) is LoraLinear and all(
            isinstance(dropout, torch.nn.Identity) for dropout in module.lora_dropout.values()
        ):
            module.__class__ = FoldedLora
