"""The processes of a run: checked and connected before anything is loaded, and how they share work.

A launcher (`accelerate launch`, `torchrun`) starts one process for each device. Each runs the same
code; what one of them decides or finds out reaches the others by the functions here, which all
processes must call at the same place. With one process they return what they are given.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch

from texlens.errors import InputError
from texlens.train.network.adapters import is_sharded, on_cpu
from texlens.train.settings import FineTuningConfig
from texlens.workers import usable_cpus

T = TypeVar("T")

# How long processes wait for one another: longer than one of them may prepare data or read pictures.
# The default of NCCL is ten minutes.
_TIMEOUT = timedelta(hours=24)


def connect(config: FineTuningConfig) -> None:
    """Connect the processes of a run, before anything is loaded.

    Raises InputError when they were not started as the recipe and the machine need.
    """
    check_launch(config)
    join_processes(cpu=on_cpu(config))


def join_processes(*, cpu: bool) -> None:
    """Connect the processes that a launcher started, each with a GPU of its own or all on the CPU."""
    from accelerate import PartialState

    settings: dict[str, Any] = {"timeout": _TIMEOUT}
    if not cpu and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        settings["backend"] = "cuda:nccl,cpu:gloo"  # numbers need not wait for the GPU
    PartialState(cpu=cpu, **settings)
    # cuDNN's attention, which PyTorch prefers on an H100, gives gradients of NaN where all scores of a
    # row are far below 0 (pytorch issue 196678, cudnn-frontend issues 160 and 1072). The other kernels
    # are as fast at these lengths.
    torch.backends.cuda.enable_cudnn_sdp(False)


def leave_processes() -> None:
    """Leave the group of processes, at the end of a program."""
    from accelerate import PartialState

    if process_count() > 1:
        PartialState().destroy_process_group()


def check_launch(config: FineTuningConfig) -> None:
    """Raise InputError when recipe, launcher and machine do not fit together."""
    if on_cpu(config):
        return
    seen = torch.cuda.device_count()
    local = os.environ.get("LOCAL_RANK")
    if local is None and seen > 1:
        raise InputError(
            f"This process sees {seen} GPUs, and one process uses one: run  accelerate launch "
            f"--multi_gpu --num_processes {seen} -m texlens {shlex.join(sys.argv[1:])}  or choose a "
            "GPU with CUDA_VISIBLE_DEVICES=0."
        )
    if local is not None and int(local) >= seen:
        raise InputError(
            f"The launcher started a process for GPU {local} of this machine, which has {seen}: give "
            f"it --num_processes {seen}."
        )
    if config.quantisation is not None and is_sharded():
        raise InputError(
            "Weights of 4 bits cannot be spread over devices by FSDP: launch with ddp.yaml, or leave "
            "quantisation out of the recipe."
        )


def process_number() -> int:
    """The place of this process among all, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this process records, scores and writes for all."""
    return process_number() == 0


def process_count() -> int:
    """The number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def my_cpus() -> int:
    """The processors for this process: those of the machine, shared with its other processes."""
    return max(1, usable_cpus() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def wait_for_all() -> None:
    """Wait until all processes are here."""
    from_main(None)


def from_main(value: T) -> T:
    """The value that the main process has."""
    from accelerate.utils import broadcast_object_list

    if process_count() == 1:
        return value
    shared: T = broadcast_object_list([value])[0]
    return shared


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, in place."""
    if process_count() > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def gathered(value: T) -> list[T]:
    """The values of all processes, in their order."""
    from accelerate.utils import gather_object

    if process_count() == 1:
        return [value]
    values: list[T] = gather_object([value])
    return values


def my_share(items: Sequence[T]) -> Sequence[T]:
    """Every n-th item, for this process of n."""
    return items[process_number() :: process_count()]


def joined(mine: Sequence[T], count: int) -> list[T]:
    """The results of all processes for their shares of `count` items, in the order of the items."""
    shares = gathered(list(mine))
    return [shares[place % len(shares)][place // len(shares)] for place in range(count)]


def local_main_first() -> contextlib.AbstractContextManager[None]:
    """One process of each machine goes first: the others find in the cache what it has prepared."""
    from accelerate import PartialState

    first: contextlib.AbstractContextManager[None] = PartialState().local_main_process_first()
    return first


def gathered_weights(network: torch.nn.Module) -> contextlib.AbstractContextManager[None]:
    """Within it every process has all weights of a network that FSDP2 spreads; no other changes."""
    from torch.distributed.fsdp import FSDPModule

    return _unsharded([part for part in network.modules() if isinstance(part, FSDPModule)])


@contextlib.contextmanager
def _unsharded(parts: list[Any]) -> Iterator[None]:
    if parts:
        # The first module whose forward runs becomes the root, and decoding calls inner ones alone.
        # Written for torch 2.13: there is no public way to name the root before that.
        parts[0]._get_fsdp_state()._lazy_init()
    for part in parts:
        # Else every forward pass would drop the weights, and the next one wait for the other processes.
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()
