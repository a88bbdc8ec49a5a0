"""Each picture through the vision tower once, however many answers of a group stand on it.

In GRPO a batch holds every picture as often as its group has answers, and the vision tower is the
dearer half of a small model. Its output is a function of the picture alone, so equal pictures share
one pass, and their gradients add up in it as they would have apart.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)


def like_pictures(patches: Tensor, grids: Tensor) -> tuple[list[int], list[int]]:
    """Which pictures of a batch are the same.

    `patches` (all pictures' patches, values) and `grids` (pictures, 3: frames, rows, columns of
    patches) are the processor's. Returns the place of the first picture of each kind, and for every
    picture the number of its kind.
    """
    parts = patches.split(grids.prod(-1).tolist())
    firsts: list[int] = []
    kinds: list[int] = []
    for place, part in enumerate(parts):
        for kind, first in enumerate(firsts):
            if torch.equal(grids[first], grids[place]) and torch.equal(parts[first], part):
                kinds.append(kind)
                break
        else:
            kinds.append(len(firsts))
            firsts.append(place)
    return firsts, kinds


class OncePerPicture(Qwen2_5_VisionTransformerPretrainedModel):
    """The stock vision tower, run on the different pictures of a batch only."""

    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any) -> Any:
        """As the stock class; `last_hidden_state` too is of the different pictures only."""
        firsts, kinds = like_pictures(hidden_states, grid_thw)
        if len(firsts) == len(kinds):
            return super().forward(hidden_states, grid_thw=grid_thw, **kwargs)
        parts = hidden_states.split(grid_thw.prod(-1).tolist())
        different = torch.cat([parts[first] for first in firsts])
        output = super().forward(different, grid_thw=grid_thw[firsts], **kwargs)
        sizes = (grid_thw[firsts].prod(-1) // self.spatial_merge_size**2).tolist()
        encoded = output.pooler_output.split(sizes)
        output.pooler_output = torch.cat([encoded[kind] for kind in kinds])
        return output


def encode_each_picture_once(model: torch.nn.Module) -> None:
    """Let the vision tower of a Qwen2.5-VL skip pictures it has in its batch. Weights untouched."""
    for module in model.modules():
        if type(module) is Qwen2_5_VisionTransformerPretrainedModel:
            module.__class__ = OncePerPicture
