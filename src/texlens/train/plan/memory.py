"""The cost of a training step: floating-point operations and memory, from shapes alone.

Arithmetic only: nothing here imports torch. `config` is always a transformers
`Qwen2_5_VLConfig`. The operations are those of the matrix products; the memory is that of the
tensors that autograd keeps for the backward pass, layer by layer, as the code of transformers and
PEFT creates them. `tests/train/plan/test_cost.py` compares both with a real network,
`benchmarks/train_large.py` with a GPU.

Letters in the formulas: h width and i MLP width of the language model, g the width of keys and
values there, w and m the widths of the vision tower, c bytes of a number in the precision of the
arithmetic, 4 bytes of one in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Treatment = Literal["frozen", "lora", "full"]
"""How a module is trained."""

OPTIMIZER_BYTES = {
    # Bytes a trained weight. AdamW keeps two moments; the 8-bit forms keep them in a byte each,
    # with a float32 scale for every 256 (Dettmers et al. 2022).
    "adamw_torch": 8.0,
    "adamw_8bit": 2.0 + 2 * 4 / 256,
    "paged_adamw_8bit": 2.0 + 2 * 4 / 256,
}

# A weight in nf4 with double quantisation (Dettmers et al. 2023): half a byte, one byte of scale
# for every 64 weights, one float32 for every 256 scales.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)

_HEAD_CHUNK = 32_768
"""Entries of the vocabulary that TRL's loss computes at a time, so that logits are never whole."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch of one device: `examples` of `tokens` each, with padding and picture.

    `patches` is the number of one picture's patches, `answer` of one answer's tokens.
    """

    examples: int
    tokens: int
    patches: int
    answer: int


@dataclass(frozen=True, slots=True)
class Training:
    """What is trained and how, as far as the cost depends on it.

    `precision_bytes` are the bytes of a number in the arithmetic (2 for bfloat16), `adapter_bytes`
    those of an adapter's weight: if they differ, PEFT casts the input of every adapted layer
    separately, and each copy is kept. `whole_logits`: the loss is computed on the logits of all
    tokens at once, as in transformers, not of the answers alone and in parts, as in TRL on a GPU.
    """

    language_model: Treatment = "lora"
    vision: Treatment = "frozen"
    merger: Treatment = "frozen"
    dropout: bool = False
    checkpointing: bool = False
    precision_bytes: int = 2
    adapter_bytes: int = 4
    whole_logits: bool = False


def activation_bytes(
    config: Any, batch: Batch, training: Training, loss: float | None = None
) -> int:
    """The peak memory of a step beside weights, gradients and optimiser, on one device, in bytes.

    Without checkpointing everything that the layers keep for the backward pass exists when the loss
    is computed. With it, only the inputs of all layers do, plus the loss or one layer that is run
    again, whichever is larger. `loss` replaces `loss_bytes` where output layer and loss are computed
    in another way.
    """
    text, vision = config.text_config, config.vision_config
    tokens, patches = batch.examples * batch.tokens, batch.examples * batch.patches
    c = training.precision_bytes
    at_loss = loss_bytes(config, batch, training) if loss is None else loss
    # Gradients of a layer's widest tensors while the backward pass is in it.
    in_flight = tokens * 3 * c * text.intermediate_size
    if not training.checkpointing:
        return int(saved_bytes(config, batch, training) + max(at_loss, in_flight))
    kept = tokens * text.num_hidden_layers * c * text.hidden_size
    if training.vision != "frozen":
        kept += patches * vision.depth * c * vision.hidden_size
    kept += patches * _merger_bytes(vision, training)
    text_layer = tokens * _text_layer_bytes(text, training)
    vision_layer = patches * _vision_layer_bytes(vision, training)
    return int(kept + max(at_loss, text_layer + in_flight, vision_layer))


def saved_bytes(config: Any, batch: Batch, training: Training) -> float:
    """What all layers keep for the backward pass without checkpointing, in bytes."""
    text, vision = config.text_config, config.vision_config
    layers = text.num_hidden_layers * _text_layer_bytes(text, training)
    tower = vision.depth * _vision_layer_bytes(vision, training) + _merger_bytes(vision, training)
    return batch.examples * (batch.tokens * layers + batch.patches * tower)


def loss_bytes(config: Any, batch: Batch, training: Training) -> float:
    """The peak memory of the output layer and the loss, in bytes."""
    vocabulary = config.text_config.vocab_size
    if training.whole_logits:
        # Logits, their float32 copy, log-probabilities, and two gradients of them.
        return batch.examples * batch.tokens * vocabulary * (2 * training.precision_bytes + 8)
    # The logits of a part in float32, their exponentials, and the gradient of them.
    return batch.examples * batch.answer * min(vocabulary, _HEAD_CHUNK) * 12


def _text_layer_bytes(text: Any, training: Training) -> float:
    """What one layer of the language model keeps, bytes a token."""
    h, i = text.hidden_size, text.intermediate_size
    c = training.precision_bytes
    lora, full = training.language_model == "lora", training.language_model == "full"
    cast = lora and training.adapter_bytes != c
    norms = 2 * 4 * h + (2 * c * h if full else 0)  # RMSNorm computes on a float32 copy
    # Inputs of the seven projections: those of query, key and value are one tensor, as are those
    # of gate and up, unless each adapter casts its own copy. Frozen layers keep no input.
    inputs = 0.0
    if full or lora:
        copies_h, copies_i = (6, 1) if cast else (2, 0)  # the others are counted as outputs below
        inputs = copies_h * c * h + copies_i * c * i
    if lora and training.dropout:
        inputs += 6 * h + i + (6 * c * h + c * i if not cast else 0)  # masks of a byte, results
    # Keys and values are repeated for every head, since padding needs a mask.
    attention = 4 * c * h + 4 * text.num_attention_heads
    mlp = 3 * c * i  # gate, its SiLU, up
    if not cast and (full or lora):
        mlp += c * i  # the product, which is the input of the last projection
    return norms + inputs + attention + mlp


def _vision_layer_bytes(vision: Any, training: Training) -> float:
    """What one vision layer keeps, bytes a patch: nothing where vision is frozen."""
    if training.vision == "frozen":
        return 0.0
    w, m, c = vision.hidden_size, vision.intermediate_size, training.precision_bytes
    full = training.vision == "full"
    cast = not full and training.adapter_bytes != c
    norms = 2 * 4 * w + (2 * c * w if full else 0)
    copies_w, copies_m = (4, 1) if cast else (2, 1)
    inputs = copies_w * c * w + copies_m * c * m
    if not full and training.dropout:
        inputs += 4 * w + m + (4 * c * w + c * m if not cast else 0)
    attention = 6 * c * w + 4 * vision.num_heads  # query and key turned, what they came from, mix
    return norms + inputs + attention + 3 * c * m


def _merger_bytes(vision: Any, training: Training) -> float:
    """What the merger keeps, bytes a patch: nothing where nothing up to it is trained."""
    if training.vision == training.merger == "frozen":
        return 0.0
    w, c = vision.hidden_size, training.precision_bytes
    return 4 * w + (c * w if training.merger != "frozen" else 0) * 2 + c * w  # norm, inputs, GELU
