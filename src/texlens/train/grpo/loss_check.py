"""Does the loss see what a plain pass of the network sees?

GRPO's pass is not transformers' own: a picture is encoded once for all its answers, positions are given, and
logits are never whole. Whatever is lost on the way is lost without a sign: rewards and answers stay right, and
the loss trains a network that sees no picture. So a run's first answers also take the plain pass.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
import trl
from torch import Tensor

from texlens.errors import TexlensError
from texlens.train.grpo.groups import Group

CHECKED_GROUPS = 4
"""Of how many groups the first answer is compared."""

MOST_NATS = 0.5
"""The largest mean difference of a token's log probability. The embedded model on twelve pictures: 0.0006 under
autocast to bfloat16, 4.7 without its pictures, 6.8 with those of others."""


def plain_log_probs(network: Any, group: Group, temperature: float) -> Tensor:
    """The log probabilities (tokens) of a group's first answer, by the plain pass with its pixels.

    `network`: a Qwen2.5-VL with its adapters.
    """
    answer = group.answers[0]
    device, image = network.device, network.config.image_token_id
    ids = torch.tensor([[*group.prompt, *answer]], device=device)
    logits = network(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=(ids == image).int(),
        pixel_values=group.patches.to(device),
        image_grid_thw=group.grid[None].to(device),
        logits_to_keep=len(answer) + 1,
    ).logits[0, :-1]
    chosen = ids[0, -len(answer) :, None]
    found: Tensor = (logits.float() / temperature).log_softmax(-1).gather(-1, chosen)[:, 0]
    return found


def require_same(of_loss: Tensor, plain: Tensor) -> float:
    """The mean absolute difference of log probabilities (tokens), in nats.

    Raises:
        TexlensError: it is above `MOST_NATS`.
    """
    difference = float((of_loss - plain).abs().mean())
    if not difference <= MOST_NATS:
        raise TexlensError(
            f"The loss does not see what the network sees: its log probabilities of the first answers differ by "
            f"{difference:.2f} nats a token from those of a plain pass (at most {MOST_NATS}), so transformers "
            f"{transformers.__version__} and TRL {trl.__version__} do not fit TexLens; install the versions of its "
            "constraints.txt."
        )
    return difference
