"""TRL's SFTTrainer with the order of examples of a run, and a loss that never waits for the GPU.

Written for TRL 1.16; each override names the method that it replaces and the reason.
"""

from __future__ import annotations

from typing import Any

import torch
from trl.trainer.sft_trainer import SFTTrainer

from texlens.train.network.embedding import embed_with_pictures
from texlens.train.network.graphed import GraphedPasses
from texlens.train.run.callbacks import LOG_PREFIX
from texlens.train.run.trl_trainers import RunTrainer
from texlens.train.sft.batches import LengthGroupedSampler


def answer_log_probs(model: Any, network: Any, batch: dict[str, Any]) -> Any:
    """TRL's `FusedCausalLMOutput` of a batch of an `AnswerCollator`.

    `network` is `model` without the wrapping of several processes. Visual tokens that the batch has
    are put among the embedded ones; else the vision tower computes them.
    """
    inputs = dict(batch)
    features = inputs.pop("visual_features", None)
    if features is not None:
        inputs["inputs_embeds"] = embed_with_pictures(network, inputs.pop("input_ids"), features)
    return model(**inputs, fused_lm_head=True)


class FormulaSftTrainer(RunTrainer, SFTTrainer):
    """TRL's trainer on examples in the order of `sampler`, in batches of an `AnswerCollator`."""

    def __init__(
        self, *, sampler: LengthGroupedSampler, passes: GraphedPasses | None, **kwargs: Any
    ) -> None:
        self.sampler, self.passes = sampler, passes
        super().__init__(**kwargs)
        # The loss is the mean over all answer tokens of a step, so that it does not depend on how the
        # step is split into batches. Trainer's own check does not look through the adapter.
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        """Replaces `Trainer._get_train_sampler`, whose samplers know no mixing ratios."""
        return self.sampler

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Replaces `SFTTrainer.compute_loss`: the same loss, by TRL's own language model head.

        TRL's fetches the entropy, the accuracy and the number of tokens from the GPU in every step,
        and the CPU waits for them; it also needs the attention mask that the batches do not have.
        """
        outputs = answer_log_probs(model, self.accelerator.unwrap_model(model), inputs)
        tokens = outputs.label_mask.sum() if num_items_in_batch is None else num_items_in_batch
        loss = -outputs.log_probs.sum() / torch.as_tensor(tokens).clamp(min=1)
        accuracy = outputs.is_top1.sum() / outputs.label_mask.sum()
        self._metrics["train" if model.training else "eval"]["mean_token_accuracy"].append(accuracy)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        self.clock.lap("forward")
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Extends `SFTTrainer.log`: what `compute_loss` has left on the GPU, and how much is recorded."""
        for values in (values for kind in self._metrics.values() for values in kind.values()):
            values[:] = [float(value) for value in values]
        if self.passes is not None and "loss" in logs:
            logs[LOG_PREFIX + "recorded_lengths"] = len(self.passes.recorded)
        super().log(logs, start_time)

    def training_step(self, model: Any, *arguments: Any, **settings: Any) -> torch.Tensor:
        """Extends `SFTTrainer.training_step`: keeps the gradients that a recorded pass wrote.

        A recorded pass always writes to the same memory; the first gradient of a step would be that
        memory, and the next pass would add to what it has just overwritten.
        """
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        is_first = trained[0].grad is None
        loss: torch.Tensor = super().training_step(model, *arguments, **settings)
        if is_first and trained[0].is_cuda and self.args.gradient_accumulation_steps > 1:
            written = {p: p.grad for p in trained if p.grad is not None}
            # FSDP2 keeps the gradients of a step elsewhere until its last batch.
            copies = torch._foreach_mul(list(written.values()), 1.0) if written else []
            for parameter, copied in zip(written, copies, strict=True):
                parameter.grad = copied
        return loss
