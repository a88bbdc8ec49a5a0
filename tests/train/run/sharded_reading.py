"""Two processes read dev pictures with a network that FSDP2 spreads over them; run by torchrun.

    torchrun --nproc-per-node 2 sharded_reading.py RECIPE.yaml FOLDER

accelerate does not shard on a CPU, so `fully_shard` is called as accelerate calls it on a GPU. The values
must be those of the whole network, and training must go on afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.distributed import destroy_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from texlens.train.config import load_recipe
from texlens.train.data.prepared import prepare_examples
from texlens.train.network.adapters import load_for_training
from texlens.train.network.optimizer_state import optimizer_tensors
from texlens.train.run import dev_evaluation
from texlens.train.run.processes import connect, local_main_first
from texlens.train.sft.batches import AnswerCollator
from texlens.train.sft.settings import SftConfig


def main(recipe: str, out: Path) -> None:
    config = load_recipe(recipe, SftConfig)
    connect(config)
    dev_evaluation.is_small = lambda _: False  # a large network is read as it is
    loaded = load_for_training(config)
    network = loaded.model
    with local_main_first():
        data = prepare_examples(config.data, loaded, max_length=9999, quiet=True)
    batch = AnswerCollator(loaded, data.prompt)([data.table[0], data.table[1]])
    dev = dev_evaluation.dev_evaluator(config)
    whole = dev.evaluate(loaded, out)
    loss = network(**batch).loss.detach()
    mesh = init_device_mesh("cpu", (2,))
    base = network.get_base_model().model
    for layer in (*base.language_model.layers, *base.visual.blocks):
        fully_shard(layer, mesh=mesh)
    fully_shard(network, mesh=mesh)
    assert dev.evaluate(loaded, out) == whole
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for step in range(2):
        network.train()
        now = network(**batch).loss
        torch.testing.assert_close(now.detach(), loss) if step == 0 else None
        now.backward()
        optimizer.step()
        optimizer.zero_grad()
        dev.evaluate(loaded, out)
    assert now < loss
    state = optimizer_tensors(network, optimizer)
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    for name, value in state.items():
        weight, _, key = name.rpartition("/")
        assert key == "step" or value.shape == shapes[weight]
    destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
