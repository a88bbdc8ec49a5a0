"""`--dry-run`: what a fine-tuning run would train, need and take, before it costs anything.

The network is built on the meta device, so no weights are needed; the data, where it is at hand, is
measured by what training itself does. Parameters and steps are exact, memory and time estimates.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.published import build_on_meta
from texlens.train.grpo.prompts import within_limit
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.plan.cost import (
    ACCELERATORS,
    NF4_BYTES,
    OPTIMIZER_BYTES,
    Batch,
    Training,
    Treatment,
    activation_bytes,
    step_flops,
)
from texlens.train.plan.lengths import Lengths, measure_lengths, processor_of, prompt_config_of
from texlens.train.run.adapters import base_source, lora_config, part_of, precision_of
from texlens.train.run.settings import Part, TuningConfig

Layout = Literal["ddp", "fsdp2", "zero2"]
"""How several devices share the work: as the files of `texlens/train/launch` set it up."""

PARTS: tuple[Part, ...] = ("language_model", "vision", "merger")

UTILISATION = 0.15
"""The part of a card's published peak that a step reaches with all it executes, for the estimate of
time. The 3B with LoRA on an H100: 0.10 with sequences of 210 tokens, 0.16 with 866
(`benchmarks/train_large.py`). Cards with less arithmetic for their memory come nearer their peak."""

SECONDS_A_LAYER = 0.007
"""A layer's forward and backward pass takes no less, however small the batch: its kernels have to be
launched. Measured in the same run, as is how much longer that takes with checkpointing."""

CHECKPOINTING_LAUNCHES = 1.8

SECONDS_TO_DECODE = 0.0008
"""For a layer of the language model to write one token by transformers' `generate` on a GPU."""

RESERVED = 2**30
"""Memory that CUDA's context and the allocator's gaps take, in bytes."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device at the longest batch; the activations with checkpointing and without."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    activations_checkpointed: float
    checkpointing: bool

    @property
    def total(self) -> float:
        """All of it as the recipe sets it, with what CUDA and the allocator take."""
        held = self.activations_checkpointed if self.checkpointing else self.activations
        return self.weights + self.gradients + self.optimizer + held + RESERVED


@dataclass(frozen=True, slots=True)
class DryRun:
    """What is known of a run before it begins.

    `parameters` gives trained and all weights by part. `lengths` is None where the data is not at
    hand; then memory is that of sequences as long as the recipe allows, and steps are known only
    where the recipe states them. `seconds_a_step` is by kind of card.
    """

    model: str
    precision: str
    devices: int
    layout: Layout
    parameters: dict[str, tuple[int, int]]
    base_parameters: int
    lengths: Lengths | None
    absent: tuple[str, ...]
    longest_batch: Batch
    examples_an_epoch: int | None
    examples_a_step: int
    of_what: Literal["examples", "answers"]
    steps: int | None
    memory: Memory
    teraflops_a_step: float
    seconds_a_step: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def trained(self) -> int:
        """All weights that are trained."""
        return sum(trained for trained, _ in self.parameters.values())


def dry_run(config: TuningConfig, *, devices: int = 1, layout: Layout = "ddp") -> DryRun:
    """Work out a recipe without its weights.

    `devices` is the number of processes it would run with, one device each, in this `layout`.

    Raises InputError when the shape of the base is not known, or a data file that exists cannot be
    used.
    """
    from texlens.train.plan.mistakes import known_mistakes

    # Says on import which of its kernels a machine without a GPU lacks.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    source = base_source(config)
    base = build_on_meta(source, precision_of(config))
    base_parameters = sum(p.numel() for p in base.parameters())
    shape = base.config
    quantised = _quantised_layers(base) if config.quantisation == "nf4" else set()
    network = _to_be_trained(base, config)
    prompt_config = prompt_config_of(config, source)

    absent = tuple(str(f.parquet) for f in config.data if not f.parquet.exists())
    lengths = None
    if not absent:
        processor, exact = processor_of(source, shape, prompt_config)
        if exact and isinstance(config, GrpoConfig):
            bounded = within_limit(Loaded(None, processor, prompt_config), config.max_prompt_tokens)
            prompt_config = bounded.prompt_config
        lengths = measure_lengths(config.data, processor, prompt_config, exact=exact)
    examples = None if lengths is None else _examples_an_epoch(config, lengths)
    a_step = config.examples_per_step(devices)
    # A step of GRPO takes answers, `num_generations` of them to one example.
    of_one = config.num_generations if isinstance(config, GrpoConfig) else 1
    steps = config.steps
    if steps is None and config.epochs is not None and examples is not None:
        steps = math.ceil(config.epochs * math.ceil(examples * of_one / a_step))

    longest, usual = _batches(config, prompt_config, shape, lengths)
    training = _training(config, checkpointing=config.gradient_checkpointing)
    flops = step_flops(shape, usual, training)
    return DryRun(
        model=source,
        precision=precision_of(config),
        devices=devices,
        layout=layout,
        parameters=_parameters(network),
        base_parameters=base_parameters,
        lengths=lengths,
        absent=absent,
        longest_batch=longest,
        examples_an_epoch=examples,
        examples_a_step=a_step,
        of_what="answers" if isinstance(config, GrpoConfig) else "examples",
        steps=steps,
        memory=_memory(network, quantised, config, shape, longest, devices, layout),
        teraflops_a_step=flops.executed * config.accumulation * devices / 1e12,
        seconds_a_step={
            name: _seconds(flops.executed, peak, shape, config, usual.answer)
            for name, (peak, _) in ACCELERATORS.items()
        },
        warnings=known_mistakes(
            config, network, lengths, examples, prompt_config, devices=devices, layout=layout
        ),
    )


def _to_be_trained(base: Any, config: TuningConfig) -> Any:
    """The base with what is trained marked, as `adapters.load_for_training` leaves it."""
    if config.lora is None:
        for name, parameter in base.named_parameters():
            chosen = part_of(name) in config.parts
            parameter.requires_grad_(chosen)
            if chosen:
                parameter.data = parameter.data.float()
        return base
    from peft import PeftConfig, get_peft_model

    adapter = None if config.adapter is None else Path(config.adapter).expanduser()
    try:
        shape = lora_config(config)
        if adapter is not None and (adapter / "adapter_config.json").is_file():
            shape = PeftConfig.from_pretrained(str(adapter))
            shape.inference_mode = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT's calls of transformers
            return get_peft_model(base, shape)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The adapter '{adapter}' does not fit '{config.model}': {error}"
        ) from error


def _quantised_layers(base: Any) -> set[str]:
    """The weights that 4-bit loading packs: linear layers of the language model, but the last."""
    return {
        f"{name}.weight"
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear) and "visual" not in name and name != "lm_head"
    }


def _parameters(network: Any) -> dict[str, tuple[int, int]]:
    """Trained and all weights of each part."""
    counts: dict[str, tuple[int, int]] = dict.fromkeys(PARTS, (0, 0))
    for name, parameter in network.named_parameters():
        part = part_of(name)
        trained, total = counts[part]
        counts[part] = (
            trained + (parameter.numel() if parameter.requires_grad else 0),
            total + parameter.numel(),
        )
    return counts


def _examples_an_epoch(config: TuningConfig, lengths: Lengths) -> int:
    """Every row of the files without share, and as many others as the shares ask for."""
    usable = 1 - sum(lengths.unusable.values()) / max(1, len(lengths.tokens))
    whole = sum(
        rows for rows, file in zip(lengths.files, config.data, strict=True) if file.share is None
    )
    return round(whole * usable / (1 - sum(file.share or 0.0 for file in config.data)))


def _training(config: TuningConfig, *, checkpointing: bool) -> Training:
    def treatment(part: Part) -> Treatment:
        if part not in config.parts:
            return "frozen"
        return "full" if config.lora is None else "lora"

    return Training(
        language_model=treatment("language_model"),
        vision=treatment("vision"),
        merger=treatment("merger"),
        dropout=config.lora is not None and config.lora.dropout > 0,
        checkpointing=checkpointing,
        precision_bytes=4 if precision_of(config) == "float32" else 2,
        adapter_bytes=_trained_bytes(config),
    )


def _trained_bytes(config: TuningConfig) -> int:
    """Bytes of a weight that is trained: float32, but TRL turns adapters on 4-bit weights to bf16."""
    return 2 if config.quantisation == "nf4" else 4


def _batches(
    config: TuningConfig, prompt_config: Any, shape: Any, lengths: Lengths | None
) -> tuple[Batch, Batch]:
    """The longest batch that can come, for memory, and the usual one, for time.

    Batches hold sequences of like length, so padding (under a tenth) is left out of the usual one.
    GRPO's answers are the model's own, and taken to be as long as they may.
    """
    a_token = shape.vision_config.spatial_merge_size**2
    cutoff: int = getattr(config, "cutoff", shape.text_config.max_position_embeddings)
    if lengths is None:
        visual = prompt_config.max_pixels // (shape.vision_config.patch_size**2 * a_token)
        answer = prompt_config.max_new_tokens
        prompt = visual + 64  # room for its words
        if isinstance(config, GrpoConfig):
            prompt = config.max_prompt_tokens
            visual = min(visual, prompt)
        tokens = min(cutoff, prompt + answer)
        batch = Batch(config.batch, tokens, visual * a_token, min(answer, tokens))
        return batch, batch
    prompts = lengths.tokens - lengths.answers
    usual_sizes = prompts.mean(), lengths.visual.mean(), lengths.answers.mean()
    longest_sizes = float(prompts.max()), lengths.longest_visual, lengths.longest_answer
    if isinstance(config, GrpoConfig):
        usual_sizes = *usual_sizes[:2], prompt_config.max_new_tokens
        longest_sizes = (
            config.max_prompt_tokens,
            lengths.longest_visual,
            prompt_config.max_new_tokens,
        )
    usual, longest = (
        Batch(
            config.batch,
            min(cutoff, math.ceil(prompt + answer)),
            math.ceil(visual * a_token),
            min(cutoff, math.ceil(answer)),
        )
        for prompt, visual, answer in (usual_sizes, longest_sizes)
    )
    if not isinstance(config, GrpoConfig):
        longest = replace(longest, tokens=min(cutoff, lengths.longest))
    return longest, usual


def _memory(
    network: Any,
    quantised: set[str],
    config: TuningConfig,
    shape: Any,
    batch: Batch,
    devices: int,
    layout: Layout,
) -> Memory:
    """Bytes on one device.

    Weights that are trained have a gradient of their own precision and the optimiser's state; in
    full fine-tuning autocast keeps a copy of them in the precision of the arithmetic. DDP holds the
    gradients once more, in the buckets that travel. ZeRO-2 splits gradients and optimiser over the
    devices; FSDP2 the weights too, but for the widest layer, which is gathered whole.
    """
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    weights = widest = 0.0
    for name, parameter in network.named_parameters():
        plain_name = name.removeprefix("base_model.model.").replace(".base_layer", "")
        size = NF4_BYTES if plain_name in quantised else parameter.element_size()
        if parameter.requires_grad:
            size = _trained_bytes(config)
        if config.lora is None and parameter.requires_grad and precision_of(config) != "float32":
            size += 2
        weights += size * parameter.numel()
        widest = max(widest, size * parameter.numel())
    gradients = float(_trained_bytes(config) * trained)
    optimizer = OPTIMIZER_BYTES[config.optimizer] * trained
    if config.optimizer == "adamw_torch":
        optimizer *= _trained_bytes(config) / 4
    if devices > 1 and layout == "ddp":
        gradients *= 2
    elif devices > 1:
        gradients, optimizer = gradients / devices, optimizer / devices
        if layout == "fsdp2":
            weights = weights / devices + widest
    plain_run, checkpointed = (
        activation_bytes(shape, batch, _training(config, checkpointing=checkpointing))
        for checkpointing in (False, True)
    )
    return Memory(
        weights, gradients, optimizer, plain_run, checkpointed, config.gradient_checkpointing
    )


def _seconds(flops: float, peak: float, shape: Any, config: TuningConfig, answer: int) -> float:
    """An optimiser step on one card, without the reading of dev pictures.

    Arithmetic at `UTILISATION` of the peak, but no faster than its kernels can be launched. GRPO
    draws its answers before: token after token, all of a step at once.
    """
    depth = shape.text_config.num_hidden_layers
    layers = depth + shape.vision_config.depth
    launches = layers * SECONDS_A_LAYER
    if config.gradient_checkpointing:
        launches *= CHECKPOINTING_LAUNCHES
    seconds = config.accumulation * max(flops / (peak * UTILISATION), launches)
    if isinstance(config, GrpoConfig):
        seconds = config.num_iterations * seconds + answer * depth * SECONDS_TO_DECODE
    return seconds
