"""TRL's GRPOTrainer, with three things of its own: how it encodes, how it draws, what it records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from trl.trainer.grpo_trainer import GRPOTrainer

from texlens.train.grpo.completions import Asked, CompletionLog
from texlens.train.grpo.sampling import Sampling, lean_decoder, sample
from texlens.train.grpo.shared_vision import encode_each_picture_once, like_pictures
from texlens.train.rewards.functions import BatchRewards
from texlens.train.run.run_folder import OWN

_LOGGED = {  # theirs to ours
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clipped",
    "step_time": "seconds_a_step",
}


class FormulaGrpoTrainer(GRPOTrainer):
    """GRPO on pictures of formulas.

    Equal pictures of a batch share one pass through the vision tower. Where the model is small and
    on a CPU, answers are drawn by the lean pass (`grpo_sampling`); elsewhere by transformers or
    vLLM, as TRL is told. `completions` records what was answered; None: nothing is recorded.

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
        self._rows: list[dict[str, Any]] = []

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[list[Any]],
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> Any:
        start = time.perf_counter()
        decoder = None
        if not self.use_vllm:
            decoder = lean_decoder(self.accelerator.unwrap_model(self.model))
        if decoder is None:
            drawn = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        else:
            inputs, kinds = self._different_prompts(prompt_ids, multimodal_fields)
            drawn = sample(decoder, inputs, kinds, self.sampling), None
        self._note({"seconds_drawing": time.perf_counter() - start})
        return drawn

    def _different_prompts(
        self, prompt_ids: Sequence[list[int]], multimodal_fields: dict[str, Any]
    ) -> tuple[dict[str, torch.Tensor], list[int]]:
        """The prompts of a batch without repetition, and for every answer the row of its own."""
        patches = torch.as_tensor(multimodal_fields["pixel_values"])
        grids = torch.as_tensor(multimodal_fields["image_grid_thw"])
        firsts, kinds = like_pictures(patches, grids)
        parts = patches.split(grids.prod(-1).tolist())
        longest = max(len(prompt_ids[first]) for first in firsts)
        padding = [longest - len(prompt_ids[first]) for first in firsts]
        pad = self._tokenizer.pad_token_id
        rows = [[pad] * p + prompt_ids[first] for p, first in zip(padding, firsts, strict=True)]
        return {
            "input_ids": torch.tensor(rows),
            "attention_mask": torch.tensor([[0] * p + [1] * (longest - p) for p in padding]),
            "pixel_values": torch.cat([parts[first] for first in firsts]),
            "image_grid_thw": grids[firsts],
        }, kinds

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; then every completion goes on record, with what it was an answer to."""
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        asked = [Asked(row["id"], row["prompt"], row["image"]) for row in inputs]
        asked, scored = gather_object(asked), gather_object(self.rewards.last)
        if self.completions is not None and self.accelerator.is_main_process:
            self._note(self.completions.add(self.state.global_step + 1, asked, scored))
        return batch

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        start = time.perf_counter()
        rewards: torch.Tensor = super()._calculate_rewards(*args)
        self._note({"seconds_rewarding": time.perf_counter() - start})
        return rewards

    def _note(self, values: Mapping[str, float]) -> None:
        """Have these averaged over the steps of a log line, and written into it."""
        for name, value in values.items():
            self._metrics["train"][OWN + name].append(value)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As TRL's; of its own measures, some go into the run's log."""
        measures = self._metrics["train"]
        for theirs, ours in _LOGGED.items():
            if theirs in measures:
                measures[OWN + ours] = list(measures[theirs])
        super().log(logs, start_time)
