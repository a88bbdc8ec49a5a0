"""How to split a step on a GPU: by a trial on the longest batch, instead of an estimate.

The examples of a step can go through the network together or in parts, with gradient checkpointing
or without. The result is the same but for rounding; memory and time are not, and they depend on card,
driver and libraries. So a run tries the ways on its longest examples before it starts, from the
fastest to the most frugal, and takes the first that leaves some memory free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from texlens.errors import InputError
from texlens.train.network.adapters import base_model

_SHARE = 0.85  # of the memory of a card; recorded passes and optimiser states come on top

Batch = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Split:
    """A way to split a step, and what a trial of it took.

    Attributes:
        batch_size: examples in one pass.
        accumulation: passes in a step.
        checkpointing: whether layers are computed again for the backward pass.
        seconds: of one pass forward and back, on the longest examples.
        peak_gib: the most memory that was in use.
    """

    batch_size: int
    accumulation: int
    checkpointing: bool
    seconds: float
    peak_gib: float


def choose_split(
    network: Any,
    examples_per_step: int,
    make_batch: Callable[[int], Batch],
    loss_of: Callable[[Any, Batch], Tensor],
    *,
    unit: int = 1,
) -> Split:
    """Try the ways to split a step until one fits into the memory of the network's card.

    Args:
        network: the network in training.
        examples_per_step: the examples of a step on this card.
        make_batch: the longest batch of this many examples, on the card.
        loss_of: the loss of a batch.
        unit: examples that must stay together.

    Raises:
        InputError: not even one example fits.
    """
    room = _SHARE * torch.cuda.get_device_properties(network.device).total_memory
    for size, checkpointing in _ways(examples_per_step // unit):
        tried = _try(network, make_batch(size * unit), loss_of, checkpointing)
        if tried is not None and tried[1] <= room:
            accumulation = examples_per_step // (size * unit)
            return Split(size * unit, accumulation, checkpointing, tried[0], tried[1] / 2**30)
    raise InputError(
        f"The longest example does not fit into {room / _SHARE / 2**30:.0f} GiB of memory, even alone "
        "and with gradient checkpointing: lower prompt_config.max_pixels or max_length, or set "
        "quantisation to nf4."
    )


def _ways(parts: int) -> Iterator[tuple[int, bool]]:
    """Sizes of a pass that divide a step, and checkpointing, roughly from fast to frugal.

    Checkpointing makes a pass a third longer; half a step without it is two passes.
    """
    sizes = [size for size in range(parts, 0, -1) if parts % size == 0]
    yield sizes[0], False
    if len(sizes) > 1:
        yield sizes[1], False
    for size in sizes:
        yield size, True


def _try(
    network: Any, batch: Batch, loss_of: Callable[[Any, Batch], Tensor], checkpointing: bool
) -> tuple[float, float] | None:
    """Seconds and peak bytes of a pass forward and back; None when memory was exhausted."""
    trained = [p for p in network.parameters() if p.requires_grad]
    set_checkpointing(network, checkpointing)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    seconds = 0.0
    try:
        for _ in range(2):  # the first also prepares libraries
            start = time.perf_counter()
            loss_of(network, dict(batch)).backward()
            torch.cuda.synchronize()
            seconds = time.perf_counter() - start
    except torch.cuda.OutOfMemoryError:
        return None
    finally:
        for parameter in trained:
            parameter.grad = None
        set_checkpointing(network, False)
        torch.cuda.empty_cache()
    return seconds, float(torch.cuda.max_memory_allocated())


def set_checkpointing(network: Any, wanted: bool) -> None:
    """Switch gradient checkpointing of a plain or PEFT model on or off."""
    base = base_model(network)
    if not wanted:
        base.gradient_checkpointing_disable()
        base.disable_input_require_grads()
        return
    network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if hasattr(network, "enable_input_require_grads"):
        network.enable_input_require_grads()
