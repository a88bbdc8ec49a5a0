"""`--dry-run`: what a fine-tuning run would train, need and take, before it costs anything.

The network is built on the meta device, so that no weights are needed. The data, if it exists, is
measured as training prepares it. Parameters and steps are exact, memory and time are estimates.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt_config import prompt_config_of
from texlens.model.qwen_shapes import build_on_meta
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
from texlens.train.plan.lengths import Lengths, measure_lengths, processor_of
from texlens.train.run.adapters import (
    base_source,
    lora_config,
    mark_trainable,
    module_of,
    precision_of,
)
from texlens.train.run.settings import FineTuningConfig, ModuleName

Layout = Literal["ddp", "fsdp2", "zero2"]
"""How several devices share the work, as the files of `texlens/train/launch` set it up."""

MODULES: tuple[ModuleName, ...] = ("language_model", "vision", "merger")

UTILISATION = 0.15
"""The part of a card's peak in its data sheet that a step reaches with all operations it executes,
for the estimate of time. The 3B with LoRA on an H100: 0.10 with sequences of 210 tokens, 0.16 with
866 (`benchmarks/train_large.py`). Cards with less arithmetic for their memory come nearer to it."""

SECONDS_A_LAYER = 0.007
"""The least time of a layer's forward and backward pass, however small the batch, since its kernels
must be launched. Measured in the same run, as was the factor for checkpointing."""

CHECKPOINTING_LAUNCHES = 1.8

SECONDS_TO_DECODE = 0.0008
"""For one token in one layer of the language model by transformers' `generate` on a GPU."""

RESERVED = 2**30
"""Memory of CUDA's context and of gaps in the allocator, in bytes."""


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
    def held(self) -> float:
        """The activations, with checkpointing or without, as the recipe sets it."""
        return self.activations_checkpointed if self.checkpointing else self.activations

    @property
    def total(self) -> float:
        """All of it, with what CUDA and the allocator take."""
        return self.weights + self.gradients + self.optimizer + self.held + RESERVED


@dataclass(frozen=True, slots=True)
class DryRun:
    """What is known about a run before it starts.

    `parameters` has the numbers of trained and of all weights by module. `lengths` is None when
    data files are missing (`absent`); then memory is that of sequences as long as the recipe
    allows, and `steps` is known only if the recipe states it. `seconds_a_step` is by name of the
    card.
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


def dry_run(config: FineTuningConfig, *, devices: int = 1, layout: Layout = "ddp") -> DryRun:
    """Estimate a run without its weights.

    Args:
        config: the recipe.
        devices: the number of processes, with one device each.
        layout: how they share the work.

    Raises:
        InputError: the shape of the base is not known, or a data file cannot be used.
    """
    from texlens.train.plan.checks import warnings_for

    source = base_source(config)
    base = build_on_meta(source, precision_of(config))
    base_parameters = sum(p.numel() for p in base.parameters())
    shape = base.config
    quantised = _quantised_layers(base) if config.quantisation == "nf4" else set()
    network = _to_be_trained(base, config)
    prompt_config = config.prompt_config.applied_to(prompt_config_of(source, config.adapter))

    absent = tuple(str(f.parquet) for f in config.data if not f.parquet.exists())
    lengths = None
    if not absent:
        processor, exact = processor_of(source, shape, prompt_config)
        if exact and isinstance(config, GrpoConfig):
            bounded = within_limit(Loaded(None, processor, prompt_config), config.max_prompt_length)
            prompt_config = bounded.prompt_config
        lengths = measure_lengths(config.data, processor, prompt_config, exact=exact)
    examples = None if lengths is None else _examples_an_epoch(config, lengths)
    a_step = config.examples_per_step(devices)
    # A step of GRPO takes answers, `num_generations` of them to one example.
    of_one = config.num_generations if isinstance(config, GrpoConfig) else 1
    steps = config.max_steps
    if config.num_train_epochs is not None and examples is not None:
        steps = math.ceil(config.num_train_epochs * math.ceil(examples * of_one / a_step))

    longest, usual = _batches(config, prompt_config, shape, lengths)
    flops = step_flops(shape, usual, _training(config)).executed
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
        teraflops_a_step=flops * config.gradient_accumulation_steps * devices / 1e12,
        seconds_a_step={
            name: _seconds(flops, peak, shape, config, usual.answer)
            for name, (peak, _) in ACCELERATORS.items()
        },
        warnings=warnings_for(
            config, network, lengths, examples, prompt_config, devices=devices, layout=layout
        ),
    )


def _to_be_trained(base: Any, config: FineTuningConfig) -> Any:
    """The base with its trained weights marked, as `adapters.load_for_training` does."""
    if config.lora is None:
        mark_trainable(base, config.trainable_modules)
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
    """The numbers of trained and of all weights, by module."""
    trained, total = Counter[str](), Counter[str]()
    for name, parameter in network.named_parameters():
        total[module_of(name)] += parameter.numel()
        trained[module_of(name)] += parameter.numel() if parameter.requires_grad else 0
    return {module: (trained[module], total[module]) for module in MODULES}


def _examples_an_epoch(config: FineTuningConfig, lengths: Lengths) -> int:
    """All rows of the files without a mixing ratio, and of the others what their ratios ask for."""
    usable = 1 - sum(lengths.unusable.values()) / max(1, len(lengths.tokens))
    by_file = [
        (file.mixing_ratio, rows) for file, rows in zip(config.data, lengths.files, strict=True)
    ]
    whole = sum(rows for ratio, rows in by_file if ratio is None)
    return round(whole * usable / (1 - sum(ratio or 0.0 for ratio, _ in by_file)))


def _training(config: FineTuningConfig) -> Training:
    how: Treatment = "full" if config.lora is None else "lora"
    treatments: dict[str, Any] = dict.fromkeys(config.trainable_modules, how)
    return Training(
        **treatments,
        dropout=config.lora is not None and config.lora.lora_dropout > 0,
        checkpointing=config.gradient_checkpointing,
        precision_bytes=4 if precision_of(config) == "float32" else 2,
        adapter_bytes=_trained_bytes(config),
    )


def _trained_bytes(config: FineTuningConfig) -> int:
    """Bytes of a trained weight: float32, but TRL casts adapters on 4-bit weights to bfloat16."""
    return 2 if config.quantisation == "nf4" else 4


def _batches(
    config: FineTuningConfig, prompt_config: Any, shape: Any, lengths: Lengths | None
) -> tuple[Batch, Batch]:
    """The longest batch that can come, for memory, and the usual one, for time.

    Batches hold sequences of similar length, so padding (under a tenth) is left out of the usual
    one. Answers of GRPO are the model's own; the longest that is allowed is assumed.
    """
    patches_a_token = shape.vision_config.spatial_merge_size**2
    limit: int = getattr(config, "max_length", shape.text_config.max_position_embeddings)
    longest_answer = prompt_config.max_new_tokens

    def batch(prompt: float, visual: float, answer: float) -> Batch:
        return Batch(
            config.per_device_train_batch_size,
            min(limit, math.ceil(prompt + answer)),
            math.ceil(visual * patches_a_token),
            min(limit, math.ceil(answer)),
        )

    if lengths is None:
        side = shape.vision_config.patch_size**2 * patches_a_token
        visual = prompt_config.max_pixels // side
        prompt = visual + 64  # room for its words
        if isinstance(config, GrpoConfig):
            prompt = config.max_prompt_length
            visual = min(visual, prompt)
        longest = batch(prompt, visual, longest_answer)
        return longest, longest
    prompts = lengths.tokens - lengths.answers
    if isinstance(config, GrpoConfig):
        return (
            batch(config.max_prompt_length, lengths.longest_visual, longest_answer),
            batch(prompts.mean(), lengths.visual.mean(), longest_answer),
        )
    # The longest sequence need not have the longest answer.
    longest = batch(float(prompts.max()), lengths.longest_visual, lengths.longest_answer)
    return (
        replace(longest, tokens=min(limit, lengths.longest)),
        batch(prompts.mean(), lengths.visual.mean(), lengths.answers.mean()),
    )


def _memory(
    network: Any,
    quantised: set[str],
    config: FineTuningConfig,
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
    optimizer = OPTIMIZER_BYTES[config.optim] * trained
    if config.optim == "adamw_torch":
        optimizer *= _trained_bytes(config) / 4
    if devices > 1 and layout == "ddp":
        gradients *= 2
    elif devices > 1:
        gradients, optimizer = gradients / devices, optimizer / devices
        if layout == "fsdp2":
            weights = weights / devices + widest
    activations, checkpointed = (
        activation_bytes(shape, batch, replace(_training(config), checkpointing=checkpointing))
        for checkpointing in (False, True)
    )
    return Memory(
        weights, gradients, optimizer, activations, checkpointed, config.gradient_checkpointing
    )


def _seconds(flops: float, peak: float, shape: Any, config: FineTuningConfig, answer: int) -> float:
    """Of one optimiser step on one card, without the evaluation on dev sets.

    Arithmetic at `UTILISATION` of the peak, but no faster than its kernels can be launched. GRPO
    samples its answers before: token after token, all of a step at once.
    """
    depth = shape.text_config.num_hidden_layers
    layers = depth + shape.vision_config.depth
    launches = layers * SECONDS_A_LAYER
    if config.gradient_checkpointing:
        launches *= CHECKPOINTING_LAUNCHES
    seconds = config.gradient_accumulation_steps * max(flops / (peak * UTILISATION), launches)
    if isinstance(config, GrpoConfig):
        seconds = config.num_iterations * seconds + answer * depth * SECONDS_TO_DECODE
    return seconds
