"""TRL's GRPOTrainer, with three things of its own: how it draws answers, scores them, and says so."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from texlens.train.grpo_pictures import encode_each_picture_once, like_pictures
from texlens.train.grpo_sampling import Sampling, lean_decoder, sample


class FormulaGrpoTrainer(GRPOTrainer):
    """GRPO on pictures of formulas.

    Where the model is small and on a CPU, answers are drawn by the lean pass (`grpo_sampling`);
    elsewhere by transformers or vLLM, as TRL is told. Equal pictures of a batch share one pass
    through the vision tower in every case.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        encode_each_picture_once(self.model)
        self.sampling = Sampling(
            temperature=self.temperature,
            max_new_tokens=self.max_completion_length,
            end_tokens=tuple(self.eos_token_ids),
            forbidden_tokens=(self.model.config.image_token_id,),
        )

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[list[Any]],
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        decoder = None
        if not self.use_vllm:
            decoder = lean_decoder(self.accelerator.unwrap_model(self.model))
        if decoder is None:
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        patches, grids = multimodal_fields["pixel_values"], multimodal_fields["image_grid_thw"]
        patches, grids = torch.as_tensor(patches), torch.as_tensor(grids)
        firsts, kinds = like_pictures(patches, grids)
        parts = patches.split(grids.prod(-1).tolist())
        longest = max(len(prompt_ids[first]) for first in firsts)
        padding = [longest - len(prompt_ids[first]) for first in firsts]
        pad = self._tokenizer.pad_token_id
        inputs = {
            "input_ids": torch.tensor(
                [[pad] * p + prompt_ids[first] for p, first in zip(padding, firsts, strict=True)]
            ),
            "attention_mask": torch.tensor([[0] * p + [1] * (longest - p) for p in padding]),
            "pixel_values": torch.cat([parts[first] for first in firsts]),
            "image_grid_thw": grids[firsts],
        }
        return sample(decoder, inputs, kinds, self.sampling), None
