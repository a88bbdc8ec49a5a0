"""The formulas of cost against a network that runs: its kept tensors, counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from texlens.model.qwen_shapes import model_config
from texlens.model.shape import Shape, build_model
from texlens.model.tokenizer import build_tokenizer
from texlens.model.vision_attention import batch_vision_attention
from texlens.train.network.adapters import lora_targets
from texlens.train.plan.memory import (
    Batch,
    Training,
    activation_bytes,
    loss_bytes,
    saved_bytes,
)

BATCH = Batch(examples=2, tokens=120, patches=160, answer=60)
GRID = (8, 20)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(())


def network_of(tokenizer: Any, training: Training) -> Any:
    network = build_model(Shape(vision_layers=2, text_layers=2), tokenizer)
    batch_vision_attention(network)
    if training.language_model == "full":
        return network.train()
    network.requires_grad_(False)
    if training.precision_bytes == 2:
        network = network.to(torch.bfloat16)
    parts = ["language_model"] + (["vision"] if training.vision == "lora" else [])
    return get_peft_model(network, LoraConfig(r=4, target_modules=lora_targets(parts))).train()


def kept_bytes(network: Any, tokenizer: Any, training: Training) -> int:
    """The bytes kept for the backward pass, logits apart."""
    config = network.config
    visual = BATCH.patches // 4
    tokens = torch.randint(0, 200, (BATCH.examples, BATCH.tokens))
    tokens[:, 4] = config.vision_start_token_id
    tokens[:, 5 : 5 + visual] = config.image_token_id
    mask = torch.ones_like(tokens)
    mask[0, -1] = 0  # padding: attention needs a mask
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if (
            storage.data_ptr() not in weights
            and tensor.is_floating_point()
            and len(tokenizer) not in tensor.shape
        ):
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)  # so that no address is used twice
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=training.precision_bytes == 2),
    ):
        loss = network(
            input_ids=tokens,
            attention_mask=mask,
            mm_token_type_ids=(tokens == config.image_token_id).int(),
            pixel_values=torch.randn(BATCH.examples * BATCH.patches, 3 * 2 * 8 * 8),
            image_grid_thw=torch.tensor([[1, *GRID]] * BATCH.examples),
            labels=tokens,
            use_cache=False,
        ).loss
    loss.backward()
    return sum(kept.values())


@pytest.mark.parametrize(
    "training",
    [
        Training("lora", "lora", "frozen"),
        Training("lora", "frozen", "frozen", precision_bytes=4),
        Training("full", "full", "full", precision_bytes=4),
    ],
    ids=lambda training: f"{training.language_model}-{training.vision}-{training.precision_bytes}",
)
def test_formulas_agree_with_a_run(tokenizer: Any, training: Training) -> None:
    training = replace(training, whole_logits=True)
    network = network_of(tokenizer, training)
    kept = kept_bytes(network, tokenizer, training)
    assert saved_bytes(network.config, BATCH, training) == pytest.approx(kept, rel=0.12)


def test_checkpointing_keeps_less() -> None:
    config = model_config("Qwen/Qwen2.5-VL-3B-Instruct")
    plain = Training("lora", "lora", "lora")
    saving = replace(plain, checkpointing=True)
    batch = Batch(4, 600, 336, 300)
    assert activation_bytes(config, batch, saving) < activation_bytes(config, batch, plain) / 8


def test_a_loss_in_parts_holds_less() -> None:
    config = model_config("Qwen/Qwen2.5-VL-3B-Instruct")
    in_parts, whole = Training(), Training(whole_logits=True)
    assert loss_bytes(config, BATCH, in_parts) < loss_bytes(config, BATCH, whole) / 5
