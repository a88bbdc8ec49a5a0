"""The losses of the last batches, which tell `Batches` which pictures are hard.

They are computed on a device that runs behind the program. Waiting for them would stop it at every step,
so a batch's losses are noted a fixed number of steps later, when they have long arrived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texlens.train.pretrain.batches import Batches

_STEPS_LATER = 8  # a constant: a resumed run notes the same losses at the same steps


@dataclass(frozen=True, slots=True)
class _Pending:
    chosen: NDArray[np.int64]
    losses: Tensor  # (batch,), on the CPU once `arrived`
    arrived: torch.cuda.Event | None

    def wait(self) -> Tensor:
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.losses


class RecentLosses:
    """Losses on their way from the device to the batches."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self._pending: deque[_Pending] = deque()

    def add(self, chosen: NDArray[np.int64], losses: Tensor) -> None:
        """The losses a token (batch,) of the pictures of a batch, on the device."""
        arrived = None
        losses = losses.float().to("cpu", non_blocking=True)
        if torch.cuda.is_available():
            arrived = torch.cuda.Event()
            arrived.record()
        self._pending.append(_Pending(chosen, losses, arrived))
        if len(self._pending) > _STEPS_LATER:
            oldest = self._pending.popleft()
            self.batches.note_losses(oldest.chosen, oldest.wait().numpy())

    def state(self) -> dict[str, Tensor | list[tuple[Tensor, Tensor]]]:
        """All that is known and all that is on its way, for a checkpoint."""
        return {
            "known": torch.from_numpy(self.batches.losses.copy()),
            "pending": [(torch.from_numpy(p.chosen), p.wait().clone()) for p in self._pending],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`, once the batches have their pictures again."""
        known = state["known"].cpu().numpy()
        self.batches.losses[: len(known)] = known
        self._pending = deque(
            _Pending(chosen.cpu().numpy(), losses.cpu(), None)
            for chosen, losses in state["pending"]
        )
