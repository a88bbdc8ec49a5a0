"""The copies of a network on several processes, which stay equal.

Each process steps on batches of its own, with the mean of all gradients. The network is small: all
gradients travel as one tensor of some sixty megabytes, which takes a millisecond between the GPUs of a
host.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed

from texlens.train.run.processes import process_count, summed


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients by their mean over the processes.

    All processes must have gradients for the same parameters.
    """
    if process_count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = summed(torch.cat([gradient.flatten() for gradient in gradients]))
    flat /= process_count()
    parts = flat.split([gradient.numel() for gradient in gradients])
    shaped = [part.view_as(g) for part, g in zip(parts, gradients, strict=True)]
    torch._foreach_copy_(gradients, shaped)


def copy_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors by those of the main process."""
    if process_count() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor.data, src=0)
