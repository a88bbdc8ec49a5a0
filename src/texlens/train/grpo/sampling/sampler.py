"""The choice of how answers are sampled, for GRPO's steps and for choosing prompts before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from texlens.train.grpo.sampling.base import Sampling, up_to_end
from texlens.train.grpo.sampling.graphed import GraphedSampler
from texlens.train.network.adapters import base_model
from texlens.train.network.probe import set_checkpointing


class Sampler:
    """Samples answers with the present weights of a network in training, as fast as it can.

    On a GPU or a CPU over a cache of fixed size, elsewhere by transformers' `generate`.
    `network` is a Qwen2.5-VL, or a PEFT model around one.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        self._graphed: GraphedSampler | None = None

    def sample(
        self, inputs: dict[str, Tensor], repeats: Sequence[int], sampling: Sampling
    ) -> list[list[int]]:
        """Sample answers with torch's global generator.

        Args:
            inputs: a processor's batch of prompts, one picture each, padded on the left.
            repeats: for every answer wanted, the row of its prompt.
            sampling: how to sample.

        Returns:
            The tokens of each answer with its end token, if it has one before `max_new_tokens`.
        """
        if base_model(self.network).device.type in ("cuda", "cpu"):
            self._graphed = self._graphed or GraphedSampler(self.network)
            return self._graphed.sample(inputs, repeats, sampling)
        return sample_by_generate(self.network, inputs, repeats, sampling)


def sample_by_generate(
    network: Any, inputs: dict[str, Tensor], repeats: Sequence[int], sampling: Sampling
) -> list[list[int]]:
    """Sample by `generate`, which reads a picture and its prompt again for each answer."""
    device = base_model(network).device
    parts = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(-1).tolist())
    repeated = {
        name: tensor[torch.tensor(repeats, device=tensor.device)].to(device)
        for name, tensor in inputs.items()
        if name != "pixel_values"
    }
    image = base_model(network).config.image_token_id
    repeated["mm_token_type_ids"] = (repeated["input_ids"] == image).int()
    repeated["pixel_values"] = torch.cat([parts[row] for row in repeats]).to(device)
    checkpointing = base_model(network).is_gradient_checkpointing
    set_checkpointing(network, False)  # it would switch the cache off
    try:
        with torch.inference_mode():
            generated = network.generate(
                **repeated,
                max_new_tokens=sampling.max_new_tokens,
                do_sample=True,
                temperature=sampling.temperature,
                top_k=0,
                top_p=sampling.top_p,
                repetition_penalty=1.0,
                suppress_tokens=list(sampling.forbidden_tokens) or None,
            )[:, inputs["input_ids"].shape[1] :]
    finally:
        set_checkpointing(network, checkpointing)
    return [up_to_end(row, sampling.end_tokens) for row in generated.tolist()]
