"""Sampling answers for GRPO, on a CPU by the lean forward pass, with every picture encoded once.

TRL samples by transformers' `generate`, which reads a picture and its prompt again for each answer
of a group and keeps computing rows that have ended. Here a picture is encoded once, its cache is
copied for the answers of its group, and ended rows leave the batch. The weights of an adapter are
first merged into a copy of the model, since the lean pass needs plain layers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from texlens.model.merge import merged
from texlens.reading.decoding import lean_forward as lean
from texlens.reading.decoding.generation import DecodingConfig, GenerationBatch, generate
from texlens.reading.decoding.greedy import Decoder
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.network.adapters import base_model


def lean_decoder(model: Any) -> Decoder | None:
    """A lean decoder with the present weights of `model`; None where the lean pass cannot be used.

    `model`: a Qwen2.5-VL, or a PEFT model around one, whose adapter is merged into a copy.
    """
    plain = base_model(model)
    if plain.device.type != "cpu" or getattr(plain, "is_quantized", False):
        return None
    if plain is not model:
        plain = merged(copy.deepcopy(model))
    return Decoder(plain, max_new_tokens=0) if lean.is_supported(plain) else None


@torch.inference_mode()
def sample(
    decoder: Decoder, inputs: dict[str, Tensor], repeats: Sequence[int], sampling: Sampling
) -> list[list[int]]:
    """Sample answers with torch's global generator; as `sampler.Sampler`."""
    logits, cache, positions = decoder.read_prompts(inputs)
    prompts = torch.tensor(repeats, device=logits.device)
    logits, positions = logits[prompts], positions[prompts]
    cache.keep(prompts)
    answers: list[list[int]] = [[] for _ in repeats]

    def next_tokens(batch: GenerationBatch, logits: Tensor) -> Tensor:
        logits[:, list(sampling.forbidden_tokens)] = float("-inf")
        probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
        sampled = torch.multinomial(probabilities, 1)[:, 0]
        tokens = sampled.tolist()
        for row, is_done, token in zip(batch.rows, batch.done, tokens, strict=True):
            if not is_done:
                answers[row].append(token)
        batch.append(tokens, [0.0] * len(tokens), lambda row: logits[row].cpu().numpy())
        return sampled

    batch = GenerationBatch(
        len(repeats),
        DecodingConfig(cut_loops=False),  # a loop is for the rewards to judge
        end_tokens=sampling.end_tokens,
        max_new_tokens=sampling.max_new_tokens,
    )
    generate(batch, logits, cache, positions, next_tokens=next_tokens, step=decoder.step)
    return answers
