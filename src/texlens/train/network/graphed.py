"""The language model of a training step as CUDA graphs: one start in place of ten thousand.

A step of the 3B on a batch of eight starts some ten thousand kernels, which takes the CPU five times
as long as they take the GPU. A CUDA graph records the kernels of a pass once, forward and backward,
and starts them together. It is tied to one shape, so batches are padded to a few lengths
(`padded_length`), each of which is recorded when it first occurs. All graphs share their memory, so the
longest comes first: shorter ones find room in what it has left, while growing ones would each leave
blocks that the next cannot use. Only the gradients of the trained weights are kept for each length.

Before a recording its kernels have to run once. A trial of the whole pass would need the memory of all
layers a second time, beside that of the graphs; but all layers have the same kernels, so two are tried.

Padding is on the right and without loss, so it changes no result.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from texlens.train.network.adapters import base_model


def padded_length(longest: int) -> int:
    """The length to which a batch is padded, so that few different lengths occur.

    A multiple of 16, of 32 beyond 256, of 64 beyond 512 and so on: at most an eighth is added.
    """
    step = max(16, 1 << max((longest - 1).bit_length() - 4, 0))
    return -(-longest // step) * step


@contextmanager
def captures_of_this_thread() -> Iterator[None]:
    """CUDA graphs that are captured meanwhile do not mind what other threads do on the GPU.

    While one is captured in the default mode, "global", an allocation by any thread invalidates it, and the
    loader's thread allocates pinned memory for each batch. `make_graphed_callables` has no parameter for the
    mode up to torch 2.13 (later versions do: pytorch/pytorch#188832).
    """
    stock = torch.cuda.graph
    torch.cuda.graph = functools.partial(stock, capture_error_mode="thread_local")  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        torch.cuda.graph = stock  # type: ignore[misc]


class _Pass(nn.Module):
    """The language model from embedded tokens to the last hidden states, with tensors alone."""

    def __init__(self, language_model: nn.Module) -> None:
        super().__init__()
        self.language_model = language_model
        trained = {name: p for name, p in self.named_parameters() if p.requires_grad}
        self.names, self.weights = tuple(trained), tuple(trained.values())

    def forward(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """Hidden states (batch, length, width) of (batch, length, width) at (3, batch, length)."""
        stock: Any = type(self.language_model).forward
        output = stock(
            self.language_model, inputs_embeds=embedded, position_ids=positions, use_cache=False
        )
        hidden: Tensor = output.last_hidden_state
        return hidden

    def with_weights(self, embedded: Tensor, positions: Tensor, *weights: Tensor) -> Tensor:
        """The same with these in place of the trained weights."""
        replaced = dict(zip(self.names, weights, strict=True))
        hidden: Tensor = torch.func.functional_call(self, replaced, (embedded, positions))
        return hidden

    def try_two_layers(self, embedded: Tensor, positions: Tensor) -> None:
        """Run all kernels of a pass once, forward and backward, in the memory of two layers.

        The first layer alone would not do: nothing is trained before it, so its input needs no gradient.
        """
        layers = self.language_model.layers
        self.language_model.layers = layers[:2]  # type: ignore[index]
        try:
            hidden = self(embedded, positions)
            inputs = [tensor for tensor in (embedded, *self.weights) if tensor.requires_grad]
            torch.autograd.grad(hidden, inputs, torch.zeros_like(hidden), allow_unused=True)
        finally:
            self.language_model.layers = layers


class GraphedPasses:
    """Recorded passes of a language model, one for each shape of batch.

    They are recorded with stand-ins that share the memory of the trained weights. A weight itself
    brings the node that gathers its gradient, and DDP keeps that node on a stream which a recording
    may not wait for.
    """

    def __init__(self, language_model: nn.Module, longest: int) -> None:
        self.passes = _Pass(language_model)
        self.longest = longest
        self.recorded: dict[torch.Size, Any] = {}
        self._memory = torch.cuda.graph_pool_handle()

    def __call__(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """The hidden states, and through them the gradients of the trained weights."""
        if not self.recorded and embedded.shape[1] < self.longest:
            wide = embedded.new_zeros(embedded.shape[0], self.longest, embedded.shape[2])
            wide.requires_grad_(embedded.requires_grad)
            places = torch.arange(self.longest, device=embedded.device)
            self.recorded[wide.shape] = self._record(wide, places.expand(*positions.shape[:2], -1))
        if embedded.shape not in self.recorded:
            self.recorded[embedded.shape] = self._record(embedded, positions)
        recorded = self.recorded[embedded.shape]
        hidden: Tensor = recorded(embedded, positions, *self.passes.weights)
        return hidden

    def _record(self, embedded: Tensor, positions: Tensor) -> Any:
        # Where the pictures' part is trained, its gradient passes through the embedded tokens.
        embedded, positions = (
            embedded.detach().clone().requires_grad_(embedded.requires_grad),
            positions.clone(),
        )
        stand_ins = [weight.detach().requires_grad_() for weight in self.passes.weights]
        # Weights that autocast has converted would be remembered beyond the graph that did it.
        kind = torch.get_autocast_dtype("cuda")
        with torch.autocast(
            "cuda", kind, enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False
        ):
            self.passes.try_two_layers(embedded, positions)
            with captures_of_this_thread():
                return torch.cuda.make_graphed_callables(
                    self.passes.with_weights,
                    (embedded, positions, *stand_ins),
                    num_warmup_iters=0,
                    allow_unused_input=True,
                    pool=self._memory,
                )


def graph_language_model(network: Any, *, longest: int) -> GraphedPasses:
    """Run the language model of a Qwen2.5-VL (plain or PEFT) by recorded passes while it trains.

    `longest`: the tokens of the run's longest batch as it is padded, which is recorded first.
    Passes with a mask, a cache, or without gradients are as before. The network must be on a GPU,
    without gradient checkpointing and without dropout.
    """
    language_model = base_model(network).model.language_model
    passes = GraphedPasses(language_model, longest)
    stock = language_model.forward

    def forward(self: Any, *arguments: Any, **inputs: Any) -> Any:
        plain = not arguments and all(
            inputs.get(name) is None for name in ("input_ids", "attention_mask", "past_key_values")
        )
        if (
            self.training
            and torch.is_grad_enabled()
            and plain
            and inputs["position_ids"] is not None
        ):
            hidden = passes(inputs["inputs_embeds"], inputs["position_ids"])
            return BaseModelOutputWithPast(last_hidden_state=hidden)
        return stock(*arguments, **inputs)

    language_model.forward = types.MethodType(forward, language_model)
    return passes
