"""What is changed in TRL's GRPOTrainer, and in transformers' vision tower under it.

Written for TRL 1.16, of which it overrides private methods; each override names the method that it
replaces and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)
from trl.trainer.grpo_trainer import GRPOTrainer

from texlens.train.grpo.completions import CompletionLog, PromptRecord
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.rewards.functions import BatchRewards
from texlens.train.run.callbacks import LOG_PREFIX
from texlens.train.run.trl_trainers import RunTrainer


class FormulaGrpoTrainer(RunTrainer, GRPOTrainer):
    """GRPO on pictures of formulas.

    Equal pictures of a batch share one pass through the vision tower. Answers are sampled by
    `grpo.sampling`, but by TRL with vLLM and where the weights are sharded. `completions` records the
    answers; None: nothing is recorded.

    The dataset has the columns `id`, `prompt`, `image` and `solution`.
    """

    def __init__(
        self,
        *,
        model: Any,
        rewards: BatchRewards,
        sampling: Sampling,
        completions: CompletionLog | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["args"].reward_weights = rewards.weights
        functions: list[Any] = list(rewards.functions)
        super().__init__(model=model, reward_funcs=functions, **kwargs)
        encode_each_picture_once(model)
        self.rewards, self.sampling, self.completions = rewards, sampling, completions
        self.sampler = Sampler(model)

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: Any,
        multimodal_fields: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Replaces `GRPOTrainer._generate_single_turn`, but with vLLM and sharded weights.

        TRL's calls `generate`, which reads a picture and its prompt again for each answer.
        """
        self.clock.lap("data")
        if self.use_vllm or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            answers = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, *args, **kwargs
            )
        else:
            inputs, rows = self._different_prompts(prompt_ids, multimodal_fields)
            answers = self.sampler.sample(inputs, rows, self.sampling), None
        self.clock.lap("sampling")
        return answers

    def _different_prompts(
        self, prompt_ids: Sequence[list[int]], multimodal_fields: dict[str, Any]
    ) -> tuple[dict[str, Tensor], list[int]]:
        """The prompts of a batch without repetition, and for every answer the row of its prompt."""
        grids = torch.as_tensor(multimodal_fields["image_grid_thw"])
        patches, firsts, rows = different_pictures(
            torch.as_tensor(multimodal_fields["pixel_values"]), grids
        )
        prompts = [prompt_ids[first] for first in firsts]
        longest = max(map(len, prompts))
        pad = self._tokenizer.pad_token_id
        return {
            "input_ids": torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts]),
            "attention_mask": torch.tensor(
                [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
            ),
            "pixel_values": patches,
            "image_grid_thw": grids[firsts],
        }, rows

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Extends `GRPOTrainer._generate_and_score_completions`: records completions and prompts."""
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        prompts = [PromptRecord(row["id"], row["prompt"], row["image"]) for row in inputs]
        prompts, scored = gather_object(prompts), gather_object(self.rewards.last)
        if self.completions is not None and self.accelerator.is_main_process:
            self._log_mean(self.completions.add(self.state.global_step + 1, prompts, scored))
        self.clock.lap("logging")
        return batch

    def _calculate_rewards(self, *args: Any) -> Tensor:
        """Extends `GRPOTrainer._calculate_rewards`, before which TRL computes log probabilities."""
        self.clock.lap("log_probs")
        rewards: Tensor = super()._calculate_rewards(*args)
        self.clock.lap("rewards")
        return rewards

    def compute_loss(self, *arguments: Any, **settings: Any) -> Tensor:
        """Extends `GRPOTrainer.compute_loss`: the end of the pass forward."""
        loss: Tensor = super().compute_loss(*arguments, **settings)
        self.clock.lap("forward")
        return loss

    def _log_mean(self, values: Mapping[str, float]) -> None:
        """Log these, averaged over the steps of a log line, by TRL's own `_metrics`."""
        for name, value in values.items():
            self._metrics["train"][LOG_PREFIX + name].append(value)


def different_pictures(patches: Tensor, grids: Tensor) -> tuple[Tensor, list[int], list[int]]:
    """The different pictures of a batch.

    Args:
        patches: the processor's patches of all pictures, (patches, values).
        grids: frames, rows and columns of patches of each picture, (pictures, 3).

    Returns:
        The patches of the different pictures, the index of the first picture of each kind, and
        for every picture the number of its kind.
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
    return torch.cat([parts[first] for first in firsts]), firsts, kinds


class OncePerPicture(Qwen2_5_VisionTransformerPretrainedModel):
    """The stock vision tower, run on the different pictures of a batch only.

    A batch of GRPO holds every picture once for each answer of its group, and the vision tower is
    the more expensive half of a small model. Its output depends on the picture alone, so equal
    pictures share one pass, in which their gradients add up.
    """

    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any) -> Any:
        """As the stock class; `last_hidden_state` too is of the different pictures only."""
        patches, firsts, kinds = different_pictures(hidden_states, grid_thw)
        if len(firsts) == len(kinds):
            return super().forward(hidden_states, grid_thw=grid_thw, **kwargs)
        output = super().forward(patches, grid_thw=grid_thw[firsts], **kwargs)
        sizes = (grid_thw[firsts].prod(-1) // self.spatial_merge_size**2).tolist()
        encoded = output.pooler_output.split(sizes)
        output.pooler_output = torch.cat([encoded[kind] for kind in kinds])
        return output


def encode_each_picture_once(model: torch.nn.Module) -> None:
    """Make the vision tower of a Qwen2.5-VL an `OncePerPicture`. The weights stay the same."""
    for module in model.modules():
        if type(module) is Qwen2_5_VisionTransformerPretrainedModel:
            module.__class__ = OncePerPicture
