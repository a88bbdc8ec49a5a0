"""The loss on dev sets, which needs no decoding: cheap enough to be computed often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from texlens.train.data.prepared import FineTuningData
from texlens.train.sft.batches import IGNORED, AnswerCollator


class DevLoss:
    """The mean over a dev set's examples of the mean loss of an example's answer tokens.

    So it does not depend on the batch size. The processes of a run share the examples.

    Args:
        sets: the examples of each set, by its name.
        collator: makes the batches.
        batch_size: examples at a time on one device.
    """

    def __init__(
        self, sets: Mapping[str, FineTuningData], collator: AnswerCollator, *, batch_size: int
    ) -> None:
        self.sets, self.collator, self.batch_size = dict(sets), collator, batch_size

    def evaluate(self, trainer: Any) -> dict[str, float]:
        """The value of each set, as `SET_loss`; every process must call it, and gets the same."""
        network, accelerator = trainer.model, trainer.accelerator
        was_training = network.training
        network.eval()
        try:
            with torch.no_grad(), accelerator.autocast():
                return {
                    f"{name}_loss": self._evaluate(data, network, accelerator)
                    for name, data in self.sets.items()
                }
        finally:
            network.train(was_training)

    def _evaluate(self, data: FineTuningData, network: torch.nn.Module, accelerator: Any) -> float:
        order = np.argsort(data.lengths, kind="stable")
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        mine = batches[accelerator.process_index :: accelerator.num_processes]
        rounds = -(-len(batches) // accelerator.num_processes)
        total = torch.zeros((), dtype=torch.float64, device=accelerator.device)
        for number in range(rounds):
            # Sharded weights are gathered in every forward pass: each process makes as many.
            rows = mine[number] if number < len(mine) else batches[0]
            losses = self._losses(data.table, rows, network, accelerator.device)
            total += losses.double().sum() if number < len(mine) else 0.0
        return float(accelerator.reduce(total, "sum")) / len(order)

    def _losses(
        self, table: Any, rows: Iterable[int], network: torch.nn.Module, device: torch.device
    ) -> Tensor:
        """The mean loss of each example of a batch (batch)."""
        batch = self.collator([table[int(row)] for row in rows])
        labels = batch.pop("labels").to(device)
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        first = int((labels != IGNORED).any(0).nonzero()[0])
        kept = labels.shape[1] - first
        logits = network(**inputs, logits_to_keep=kept + 1, use_cache=False).logits[:, :-1]
        wanted = labels[:, first:]
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none"
        )
        return losses.sum(1) / (wanted != IGNORED).sum(1)
