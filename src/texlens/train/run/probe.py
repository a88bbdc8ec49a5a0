"""How to split a step on a GPU: by a trial on the longest batch, instead of an estimate.

The examples of a step can go through the network together or in parts, with gradient checkpointing
or without. The result is the same but for rounding; memory and time are not, and they depend on card,
driver and libraries. So a run tries the ways on its longest examples before it starts, from the
fastest to the most frugal, and takes the first that leaves some memory free.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor

from texlens import runs
from texlens.errors import InputError
from texlens.train.run.adapters import base_model, on_cpu
from texlens.train.run.run_folder import RunFolder
from texlens.train.run.settings import FineTuningConfig

_SHARE = 0.85  # of the memory of a card; recorded passes and optimiser states come on top

_FILE = "probe.json"

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


def split_of_run(
    config: FineTuningConfig, run: RunFolder, choose: Callable[[], Split]
) -> dict[str, Any]:
    """The trainer's settings for the split of a step: those of the recipe, or of a trial on a GPU.

    All processes get the choice of the first. A resumed run keeps the one that it began with, which
    `probe.json` records.
    """
    if on_cpu(config) or not config.fit_to_memory or run.is_sharded:
        names = (
            "per_device_train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing"
        )  # fmt: skip
        return {name: getattr(config, name) for name in names}
    path = run.out / _FILE
    kept = run.last_checkpoint() is not None and path.is_file()
    split = Split(**runs.read_json(path)) if kept else choose()
    choices = [split]
    broadcast_object_list(choices)
    split = choices[0]
    if run.is_main_process:
        runs.write_json(path, asdict(split))
        print(
            f"{split.batch_size} x {split.accumulation} examples a step, "
            f"{'with' if split.checkpointing else 'without'} gradient checkpointing: "
            f"{split.seconds:.2f} s and {split.peak_gib:.1f} GiB a pass on the longest ones.",
            file=sys.stderr,
        )
    return {
        "per_device_train_batch_size": split.batch_size,
        "gradient_accumulation_steps": split.accumulation,
        "gradient_checkpointing": split.checkpointing,
    }


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
