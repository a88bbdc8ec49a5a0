"""What is changed in TRL's GRPOTrainer, and in transformers' vision tower under it.

Written for TRL 1.16, of which it overrides private methods; each override names the method that it
replaces and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor
from torch.nn.functional import pad
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import split_tensor_dict, use_adapter

from texlens.train.grpo.completions import CompletionLog, PromptRecord
from texlens.train.grpo.groups import (
    Group,
    by_length,
    open_groups,
    sample_answers,
    score_answers,
    step_tensors,
)
from texlens.train.grpo.loss_check import CHECKED_GROUPS, plain_log_probs, require_same
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.network.adapters import base_model
from texlens.train.network.embedding import embed_with_pictures
from texlens.train.rewards.functions import BatchRewards, ScoredCompletion
from texlens.train.run.callbacks import LOG_PREFIX
from texlens.train.run.trl_trainers import RunTrainer

_SMALLEST_SPREAD = 1e-4  # of rewards, as in TRL


class FormulaGrpoTrainer(RunTrainer, GRPOTrainer):
    """GRPO on pictures of formulas.

    Every picture of a step is opened, processed and encoded once, and not once for each answer. TRL
    itself samples with vLLM and where the weights are sharded (`by_trl`). `completions` records the
    answers; None: nothing is recorded.

    With `resampling_rounds`, groups whose answers all have the same total are dropped, and as many
    other prompts are answered in their place, so many times a step (the dynamic sampling of DAPO,
    arXiv:2503.14476). What is dead after the last round takes no part in the loss.

    The dataset has the columns `id`, `prompt`, `image` and `solution`.
    """

    # The base class allows more kinds of each than occur here.
    args: Any
    model: Any
    processing_class: Any
    train_dataset: Any
    num_generations: int
    _buffered_inputs: Any

    def __init__(
        self,
        *,
        model: Any,
        rewards: BatchRewards,
        sampling: Sampling,
        completions: CompletionLog | None = None,
        resampling_rounds: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs["args"].reward_weights = rewards.weights
        functions: list[Any] = list(rewards.functions)
        super().__init__(model=model, reward_funcs=functions, **kwargs)
        self.rewards, self.sampling, self.completions = rewards, sampling, completions
        self.resampling_rounds = resampling_rounds
        self.by_trl = self.use_vllm or self.is_fsdp_enabled or self.is_deepspeed_enabled
        if self.by_trl:
            encode_each_picture_once(model)
        self.sampler = Sampler(model)
        self.pictures: StepPictures | None = None
        self._part: Mapping[str, Tensor] = {}  # of the step, for the pass that is computed now
        self._is_checked = False

    # ---- answers --------------------------------------------------------------------------------

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """Replaces `GRPOTrainer._prepare_inputs`, which shuffles: here the parts have equal lengths."""
        if self.by_trl:
            return super()._prepare_inputs(generation_batch)
        parts = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            ordered: Any = by_length(batch)
            self._buffered_inputs = split_tensor_dict(ordered, parts)
        return self._buffered_inputs[self._step % parts]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Replaces `GRPOTrainer._generate_and_score_completions`, but with vLLM and sharded weights.

        TRL's processes the picture of a prompt twice for each answer.
        """
        if self.by_trl:
            batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
            self._record([PromptRecord(row["id"], row["prompt"], row["image"]) for row in inputs],
                         self.rewards.last)  # fmt: skip
            return batch
        groups = open_groups(self.processing_class, inputs)
        self._answer(groups)
        groups, dropped = self._without_dead(groups)
        device = self.accelerator.device
        batch = step_tensors(groups, self._tokenizer.pad_token_id, device)
        self.pictures = StepPictures(base_model(self.accelerator.unwrap_model(self.model)), groups)
        if not self._is_checked:
            self._check_loss(groups, batch)
        batch["advantages"] = self._advantages(groups)
        if self.resampling_rounds:
            dead = torch.tensor([group.is_dead(self.rewards.by_name) for group in groups])
            batch["completion_mask"] *= ~dead[batch["picture"]][:, None].to(device)
        if self.mask_truncated_completions:
            batch["completion_mask"] *= self._finished(groups)[:, None].to(device)
        batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        batch |= self._earlier_log_probs(batch)
        self.clock.lap("log_probs")
        tokens = sum(len(g.prompt) + len(a) for g in groups for a in g.answers)
        self.state.num_input_tokens_seen += sum(gather_object([tokens]))
        everything = [*groups, *dropped]
        self._record(
            [
                PromptRecord(group.row["id"], group.row["prompt"], group.row["image"])
                for group in everything
                for _ in group.answers
            ],
            [scored for group in everything for scored in group.scored],
        )
        return batch

    def _answer(self, groups: Sequence[Group]) -> None:
        """Sample and score the answers of these groups."""
        self.clock.lap("data")
        sample_answers(groups, self.sampler, self.sampling, self._tokenizer)
        self.clock.lap("sampling")
        score_answers(groups, self.rewards, self._tokenizer)
        self.clock.lap("rewards")

    def _without_dead(self, groups: list[Group]) -> tuple[list[Group], list[Group]]:
        """The groups with other ones in place of dead ones, and those that were dropped."""
        dropped: list[Group] = []
        seen = {group.row["id"] for group in groups}
        # By the step, so that a resumed run takes the same prompts.
        seeds = (self.args.seed, self.state.global_step, self.accelerator.process_index)
        random = np.random.default_rng(seeds)
        others = iter(random.permutation(len(self.train_dataset)).tolist())
        for _ in range(self.resampling_rounds):
            dead = [n for n, group in enumerate(groups) if group.is_dead(self.rewards.by_name)]
            rows: list[dict[str, Any]] = []
            while len(rows) < len(dead) and (place := next(others, None)) is not None:
                row = self.train_dataset[place]
                if row["id"] not in seen:
                    rows += [row]
                    seen.add(row["id"])
            if not rows:
                break
            fresh = open_groups(
                self.processing_class, [row for row in rows for _ in range(self.num_generations)]
            )
            self._answer(fresh)
            for n, group in zip(dead, fresh, strict=False):
                dropped.append(groups[n])
                groups[n] = group
        return groups, dropped

    def _advantages(self, groups: Sequence[Group]) -> Tensor:
        """How much better each answer is than the others of its group; groups may span processes."""
        totals = [scored.total(self.rewards.by_name) for g in groups for scored in g.scored]
        device = self.accelerator.device
        rewards = self.accelerator.gather(torch.tensor(totals, device=device))
        by_group = rewards.view(-1, self.num_generations)
        advantages = by_group - by_group.mean(1, keepdim=True)
        if self.scale_rewards != "none":
            whole = self.scale_rewards == "batch"
            spread = rewards.std() if whole else by_group.std(1, keepdim=True)
            advantages = advantages / (spread + _SMALLEST_SPREAD)
        first = self.accelerator.process_index * len(totals)
        return advantages.flatten()[first : first + len(totals)]

    def _finished(self, groups: Sequence[Group]) -> Tensor:
        """Which answers have an end token, (rows)."""
        return torch.tensor(
            [a[-1] in self.sampling.end_tokens for group in groups for a in group.answers]
        )

    # ---- log probabilities ----------------------------------------------------------------------

    def _check_loss(self, groups: Sequence[Group], batch: Mapping[str, Tensor]) -> None:
        """Compare log probabilities of the loss's pass with those of a plain pass, once a run."""
        groups = groups[:CHECKED_GROUPS]
        rows = [batch["picture"].tolist().index(place) for place in range(len(groups))]
        few = {name: tensor[rows] for name, tensor in batch.items()}
        # It would differ, and take the random numbers of the next answers. Not the whole network is set to
        # evaluate: layers of 4 bits would pack their weights anew.
        dropouts = [
            m for m in self.model.modules() if isinstance(m, torch.nn.Dropout) and m.training
        ]
        for dropout in dropouts:
            dropout.eval()
        with torch.no_grad(), self.accelerator.autocast(), disable_gradient_checkpointing(
            self.model, self.args.gradient_checkpointing_kwargs
        ):  # fmt: skip
            own = self._log_probs(self.model, few)[few["completion_mask"].bool()]
            network = base_model(self.accelerator.unwrap_model(self.model))
            plain = [plain_log_probs(network, group, self.temperature) for group in groups]
        for dropout in dropouts:
            dropout.train()
        self._log_mean({"log_prob_difference": require_same(own, torch.cat(plain))})
        self._is_checked = True

    def _earlier_log_probs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of the network before the step, where it changes within, and those of the start."""
        found: dict[str, Tensor] = {}
        every = self.args.steps_per_generation * self.num_iterations
        with torch.no_grad(), disable_gradient_checkpointing(
            self.model, self.args.gradient_checkpointing_kwargs
        ):  # fmt: skip
            if self.args.gradient_accumulation_steps % every:
                found["old_per_token_logps"] = self._log_probs(self.model, batch)
            if self.beta and self.ref_model is not None:
                found["ref_per_token_logps"] = self._log_probs(self.ref_model, batch)
            elif self.beta:
                network = self.accelerator.unwrap_model(self.model)
                name = "ref" if "ref" in network.peft_config else None
                with use_adapter(network, adapter_name=name):
                    found["ref_per_token_logps"] = self._log_probs(self.model, batch)
        return found

    def _log_probs(self, network: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """The log probabilities of all answers of a step, computed in the parts of a step."""
        width = batch["completion_ids"].shape[1]
        parts = []
        for first in range(0, len(batch["picture"]), self.args.per_device_train_batch_size):
            rows = slice(first, first + self.args.per_device_train_batch_size)
            self._part = {name: tensor[rows] for name, tensor in batch.items() if tensor.ndim}
            ids = torch.cat([self._part["prompt_ids"], self._part["completion_ids"]], dim=1)
            mask = torch.cat([self._part["prompt_mask"], self._part["completion_mask"]], dim=1)
            parts += [self._get_per_token_logps_and_entropies(network, ids, mask, width)[0]]
        return torch.cat(parts)

    def _compute_loss(self, model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
        """Extends `GRPOTrainer._compute_loss`, which passes on no picture without `pixel_values`."""
        self._part = inputs
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **fields: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Replaces TRL's, which needs the pixels of each answer and computes all its padding."""
        if self.by_trl:
            found: tuple[Tensor, Tensor | None, Tensor | None] = (
                super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size,
                    compute_entropy, **fields,
                )
            )  # fmt: skip
            return found
        assert self.pictures is not None
        prompt = input_ids.shape[1] - logits_to_keep
        lengths = torch.stack(
            [attention_mask[:, :prompt].sum(1).max(), attention_mask[:, prompt:].sum(1).max()]
        ).tolist()
        answer = max(1, lengths[1])
        kept = slice(prompt - lengths[0], prompt + answer)
        ids, mask = input_ids[:, kept], attention_mask[:, kept]
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, : lengths[0]] = -100
        positions = self._part["prompt_positions"][..., kept.start :]
        after = torch.arange(1, answer + 1, device=ids.device)
        after = positions.amax(dim=(1, 2))[:, None, None] + after
        positions = torch.cat([positions, after.expand(-1, 3, -1)], dim=2).transpose(0, 1)
        network = base_model(self.accelerator.unwrap_model(model))
        with self.accelerator.autocast():
            features = self.pictures.encoded(network, self._part["picture"].tolist())
            # Not as `mm_encoder_outputs`, which older versions of transformers (5.17) do not know and drop
            # without a word: the network would see no picture.
            outputs = model(
                inputs_embeds=embed_with_pictures(network, ids, features),
                attention_mask=mask,
                position_ids=positions,
                labels=labels,
                fused_lm_head=True,
            )
        rest = (0, logits_to_keep - answer)
        log_probs = pad(outputs.log_probs[:, -answer:], rest)
        entropies = pad(outputs.entropy[:, -answer:], rest) if compute_entropy else None
        return log_probs, entropies, None

    # ---- records --------------------------------------------------------------------------------

    def _record(self, prompts: Sequence[PromptRecord], scored: Sequence[ScoredCompletion]) -> None:
        """Record the answers of all processes."""
        everyone, theirs = gather_object(list(prompts)), gather_object(list(scored))
        if self.completions is not None and self.accelerator.is_main_process:
            self._log_mean(self.completions.add(self.state.global_step + 1, everyone, theirs))
        self.clock.lap("logging")

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        """Extends `GRPOTrainer._generate_single_turn`: the time of sampling by TRL."""
        self.clock.lap("data")
        answers = super()._generate_single_turn(*args, **kwargs)
        self.clock.lap("sampling")
        return answers

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


class StepPictures:
    """The pictures of a step, encoded once where the vision tower does not change within it."""

    def __init__(self, network: Any, groups: Sequence[Group]) -> None:
        self.patches = [group.patches for group in groups]
        self.grids = torch.stack([group.grid for group in groups])
        self.is_trained = any(p.requires_grad for p in network.model.visual.parameters())
        self._kept: Sequence[Tensor] | None = None

    def encoded(self, network: Any, places: Sequence[int]) -> Tensor:
        """The visual tokens (tokens, width) of the pictures at these places, one after another."""
        if self.is_trained:
            different = sorted(set(places))
            features = dict(zip(different, self._encode(network, different), strict=True))
        else:
            if self._kept is None:
                with torch.no_grad():
                    self._kept = self._encode(network, range(len(self.patches)))
            features = dict(enumerate(self._kept))
        return torch.cat([features[place] for place in places])

    def _encode(self, network: Any, places: Sequence[int]) -> Sequence[Tensor]:
        device = network.device
        patches = torch.cat([self.patches[place] for place in places]).to(device)
        grids = self.grids[list(places)].to(device)
        encoded = network.model.get_image_features(patches, grids, return_dict=True)
        return tuple(encoded.pooler_output)


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
