"""Do recorded and compiled passes on a GPU give the losses and gradients of plain ones?

    python benchmarks/same_gradients.py --model FOLDER --data PICTURES.parquet [--recipe sft_printed_3b]
                                        [--examples 8]

One batch through the network of a recipe, forward and back: plain in float32, which is taken as the
truth, and in bfloat16 plain, recorded (CUDA graphs) and compiled. For each: the loss, and the length of
the difference between its gradient and another one, relative to that one, over all LoRA weights together.
Two ways in bfloat16 can be no closer to one another than each is to float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from texlens.train.config import load_recipe
from texlens.train.data.prepared import prepare_examples
from texlens.train.network.adapters import load_for_training
from texlens.train.network.compiled import compile_layers
from texlens.train.network.graphed import graph_language_model
from texlens.train.sft.batches import AnswerCollator
from texlens.train.sft.settings import SftConfig

Result = tuple[float, dict[str, torch.Tensor]]


def network_and_batch(
    arguments: argparse.Namespace, precision: str
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network that the recipe trains, with an adapter that does something, and its batch."""
    changes = {
        "model": str(arguments.model), "data.0.parquet": str(arguments.data), "data.0.rows": [0, 500],
        "dev": [], "precision": precision, "metric_for_best_model": None, "eval_loss_steps": None,
    }  # fmt: skip
    config = load_recipe(arguments.recipe, SftConfig, changes)
    loaded = load_for_training(config)
    data = prepare_examples(config.data, loaded, max_length=config.max_length, quiet=True)
    collator = AnswerCollator(loaded, data.prompt)
    step = len(data.table) // arguments.examples
    batch = collator([data.table[place * step] for place in range(arguments.examples)])
    network = loaded.model.train()
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:  # zero at first: no gradient would reach the other factor
            torch.nn.init.normal_(parameter, std=0.01)
    return network, {name: value.to(network.device) for name, value in batch.items()}


def loss_and_gradients(network: Any, batch: dict[str, Any], *, autocast: bool) -> Result:
    """The loss of a batch, and the gradients of the trained weights in float32."""
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    for parameter in trained.values():
        parameter.grad = None
    with torch.autocast(network.device.type, torch.bfloat16, enabled=autocast):
        loss = network(**batch).loss
    loss.backward()
    gradients = {name: p.grad.float().cpu().clone() for name, p in trained.items()}
    return float(loss.detach()), gradients


def distance(found: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> float:
    """The length of the difference of two gradients, relative to the second."""
    difference = sum(float((found[name] - truth[name]).square().sum()) for name in truth)
    return (difference / sum(float(value.square().sum()) for value in truth.values())) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="sft_printed_3b")
    parser.add_argument("--examples", type=int, default=8)
    arguments = parser.parse_args()

    truth: Result | None = None
    plain: Result | None = None

    def report(name: str, found: Result) -> None:
        away = [distance(found[1], other[1]) for other in (truth, plain) if other is not None]
        print(f"{name:20} {found[0]:10.6f}" + "".join(f"{d:20.6f}" for d in away), flush=True)

    print(f"{arguments.examples} examples")
    print(f"{'':20} {'loss':>10}{'to float32':>20}{'to plain bfloat16':>20}")
    network, batch = network_and_batch(arguments, "float32")
    truth = loss_and_gradients(network, batch, autocast=False)
    report("float32, plain", truth)
    del network
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    network, batch = network_and_batch(arguments, "bfloat16")
    plain = loss_and_gradients(network, batch, autocast=True)
    report("bfloat16, plain", plain)
    if torch.cuda.is_available():
        language_model = network.get_base_model().model.language_model
        stock = language_model.forward
        graph_language_model(network, longest=batch["input_ids"].shape[1])
        report("bfloat16, recorded", loss_and_gradients(network, batch, autocast=True))
        report("the same again", loss_and_gradients(network, batch, autocast=True))
        language_model.forward = stock
    compile_layers(network)
    report("bfloat16, compiled", loss_and_gradients(network, batch, autocast=True))


if __name__ == "__main__":
    main()
