"""The state of the optimiser, kept beside the weights of a run for the run that continues them.

A second stage that continues AdamW's moments and step counts starts where the first one stopped; with
new ones its first steps are as large as the learning rate allows. The file is in safetensors form,
with a tensor NAME/KEY for each trained weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from texlens.errors import InputError
from texlens.runs import write_bytes

OPTIMIZER = "optimizer.safetensors"
_STEP = "step"


def optimizer_tensors(network: torch.nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """The state of every trained weight, on the CPU; where weights are sharded, gathered.

    All processes must call it.
    """
    state = _plain(optimizer).state
    tensors = {}
    for name, parameter in network.named_parameters():
        for key, value in state.get(parameter, {}).items():
            whole = value.full_tensor() if isinstance(value, DTensor) else value
            tensors[f"{_bare(name)}/{key}"] = whole.detach().cpu().contiguous()
    return tensors


def save_optimizer(tensors: dict[str, Tensor], folder: Path, *, weights: str, step: int) -> None:
    """Write the state into a run's folder, with the name of the weights it belongs to."""
    write_bytes(folder / OPTIMIZER, save(tensors, {"weights": weights, "step": str(step)}))


def check_optimizer(adapter: str) -> Path:
    """The file with the optimiser's state of the run that made an adapter.

    Raises InputError when there is none, or it belongs to other weights of that run.
    """
    folder = Path(adapter).expanduser()
    path = folder.parent / OPTIMIZER
    try:
        with safe_open(path, "pt") as file:
            weights = (file.metadata() or {}).get("weights")
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"continue_optimizer needs '{path}', which is not there or damaged: train the first "
            "stage with save_optimizer: true, or leave continue_optimizer out."
        ) from error
    if weights != folder.name:
        raise InputError(
            f"'{path}' belongs to the weights in '{weights}', not to '{folder.name}': continue "
            "those, or leave continue_optimizer out."
        )
    return path


def load_optimizer(path: Path, network: torch.nn.Module, optimizer: Any) -> None:
    """Give an optimiser without steps the state in a file.

    Raises InputError when the file has no state for a trained weight, or of another shape.
    """
    inner = _plain(optimizer)
    on_device = any(group.get("fused") or group.get("capturable") for group in inner.param_groups)
    with safe_open(path, "pt") as file:
        known: dict[str, list[str]] = {}
        for full in file.keys():  # noqa: SIM118
            name, _, key = full.rpartition("/")
            known.setdefault(name, []).append(key)
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue
            bare = _bare(name)
            state = {key: file.get_tensor(f"{bare}/{key}") for key in known.get(bare, [])}
            shapes = [list(value.shape) for key, value in state.items() if key != _STEP]
            if not shapes or any(shape != list(parameter.shape) for shape in shapes):
                raise InputError(
                    f"'{path}' has no state for the weight '{bare}' of shape "
                    f"{list(parameter.shape)}: the first stage trained other weights."
                )
            inner.state[parameter] = {
                key: value.to(parameter.device if on_device else "cpu")
                if key == _STEP
                else _placed(value, parameter)
                for key, value in state.items()
            }


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """A tensor on the device, or the shards, of its weight."""
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def _plain(optimizer: Any) -> Any:
    """The optimiser inside accelerate's."""
    return getattr(optimizer, "optimizer", optimizer)


def _bare(name: str) -> str:
    """The name of a weight without what DDP and compiled blocks add."""
    return name.removeprefix("module.").replace("_orig_mod.", "")
