"""The processes of a training run, one for each GPU: what they share and what each has alone.

Start them with `torchrun --nproc-per-node 4 -m texlens train pretrain ...`. Each has a part of the
shards, makes batches of its own, and applies the mean of all gradients, so the weights stay the
same on all. The network is small: all gradients travel as one tensor of some sixty megabytes,
which takes a millisecond between the GPUs of a host.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

_TIMEOUT = timedelta(hours=2)  # the others wait while one reads the dev pictures or saves


class Ranks:
    """The processes of a run; a run without `torchrun` has one.

    `device` is the device of this process, `number` its place among `count`.
    """

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.number = int(os.environ.get("RANK", "0"))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        if self.count > 1 and not distributed.is_initialized():
            # Tensors on a GPU go through NCCL; numbers and small objects through gloo.
            backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=_TIMEOUT)

    @property
    def first(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.number == 0

    def wait(self) -> None:
        """Wait for all processes."""
        self.agreed(0.0)

    def agreed(self, value: float) -> float:
        """The first process's value, on all."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return float(shared)

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes of a tensor on the CPU."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, on the first; an empty list on the others."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.gather_object(value, values if self.first else None)
        return values if self.first else []

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradients by their mean over the processes.

        All processes must have gradients for the same parameters.
        """
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        parts = flat.split([gradient.numel() for gradient in gradients])
        shaped = [part.view_as(g) for part, g in zip(parts, gradients, strict=True)]
        torch._foreach_copy_(gradients, shaped)

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.data, src=0)

    def close(self) -> None:
        """Leave the group of processes."""
        if self.count > 1:
            distributed.destroy_process_group()
