"""The repeated layers of a network, compiled once each kind: fewer and larger kernels a step.

A step of the 3B starts some fifteen thousand small kernels, and on a fast GPU it is their starting
that takes the time. `torch.compile` on one layer fuses most of them; all layers of a kind share the
result. Compiled layers serve training alone: generation, whose shapes change with every token, runs
on the layers as they are (`without_compilation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VLDecoderLayer,
)

from texlens.train.network.adapters import on_cpu
from texlens.train.network.graphed import GraphedPasses, graph_language_model, padded_length
from texlens.train.network.onednn import use_onednn
from texlens.train.settings import FineTuningConfig

_LENGTHS = 16  # as many are often recorded in a run
_SHARE = 1 / 8  # of the memory of a card may go to the gradients of recorded passes


def make_fast(
    network: torch.nn.Module, config: FineTuningConfig, *, recordable: bool, longest: int
) -> GraphedPasses | None:
    """Compile and record the network of a run, as far as its recipe wants it and it can be done.

    It is `recordable` while its weights stay where they are and layers are computed once: with neither
    sharding nor gradient checkpointing. `longest`: tokens of its longest example.

    Returns:
        The recorded passes, if there are any.
    """
    if on_cpu(config):
        use_onednn(network)
        return None
    if config.compile:
        compile_layers(network)
    dropout = config.lora is not None and config.lora.lora_dropout > 0
    if config.compile or dropout or not (config.cuda_graphs and recordable):
        return None
    if not gradients_fit(network):
        return None
    return graph_language_model(network, longest=padded_length(longest))


def gradients_fit(network: torch.nn.Module) -> bool:
    """Whether a card has room for the gradients of trained weights once for each recorded length.

    It has for LoRA of common ranks, not for a large network that is trained in full.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    needed = _LENGTHS * sum(p.numel() * p.element_size() for p in trained)
    room = torch.cuda.get_device_properties(trained[0].device).total_memory
    return needed <= _SHARE * room


def compile_layers(network: torch.nn.Module) -> None:
    """Compile the decoder layers of a Qwen2.5-VL, in place, for batches of any shape."""
    # One graph serves all layers; without this their number would count as its variants.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    for module in network.modules():
        if isinstance(module, Qwen2_5_VLDecoderLayer):
            module.compile(dynamic=True)


@contextmanager
def without_compilation(network: torch.nn.Module) -> Iterator[None]:
    """Run the layers of a network as they were before `compile_layers`."""
    compiled: list[tuple[Any, Any]] = [
        (module, module._compiled_call_impl)
        for module in network.modules()
        if module._compiled_call_impl is not None
    ]
    for module, _ in compiled:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, call in compiled:
            module._compiled_call_impl = call
