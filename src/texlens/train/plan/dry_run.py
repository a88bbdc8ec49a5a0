"""`--dry-run`: what a fine-tuning run would train and need, before it costs anything.

The network is built on the meta device, so that no weights are needed. The data, if it exists, is
measured as training prepares it. Parameters and steps are exact, memory is an estimate.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from texlens.errors import InputError
from texlens.model.load import Loaded
from texlens.model.prompt_config import PromptConfig, prompt_config_of
from texlens.model.qwen_shapes import build_on_meta
from texlens.train.grpo.prompts import within_limit
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.network.adapters import (
    base_source,
    lora_config,
    mark_trainable,
    module_of,
    precision_of,
)
from texlens.train.plan.lengths import Lengths, measure_lengths, processor_of
from texlens.train.plan.memory import (
    NF4_BYTES,
    OPTIMIZER_BYTES,
    Batch,
    Training,
    Treatment,
    activation_bytes,
)
from texlens.train.settings import FineTuningConfig, ModuleName

Layout = Literal["ddp", "fsdp2"]
"""How several devices share the work, as the files of `texlens/train/launch` set it up."""

MODULES: tuple[ModuleName, ...] = ("language_model", "vision", "merger")

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


@dataclass(frozen=True)
class DryRun:
    """What is known about a run before it starts.

    `network` is the network that it would train, on the meta device, and `quantised` the names of
    its weights of 4 bits. `lengths` is None when data files are missing (`absent`); then memory is
    that of sequences as long as the recipe allows, and `steps` is known only if the recipe states
    it.
    """

    config: FineTuningConfig
    devices: int
    layout: Layout
    network: Any
    base_parameters: int
    quantised: frozenset[str]
    prompt_config: PromptConfig
    lengths: Lengths | None

    @property
    def model(self) -> str:
        """The base, as a folder or a name on the hub."""
        return base_source(self.config)

    @property
    def precision(self) -> str:
        """The precision of frozen weights and arithmetic."""
        return precision_of(self.config)

    @property
    def absent(self) -> list[str]:
        """The data files that do not exist."""
        return [str(file.parquet) for file in self.config.data if not file.parquet.exists()]

    @cached_property
    def parameters(self) -> dict[str, tuple[int, int]]:
        """The numbers of trained and of all weights, by module."""
        trained, total = Counter[str](), Counter[str]()
        for name, parameter in self.network.named_parameters():
            total[module_of(name)] += parameter.numel()
            trained[module_of(name)] += parameter.numel() if parameter.requires_grad else 0
        return {module: (trained[module], total[module]) for module in MODULES}

    @property
    def trained(self) -> int:
        """The number of all trained weights."""
        return sum(trained for trained, _ in self.parameters.values())

    @property
    def examples_an_epoch(self) -> int | None:
        """All rows of files without a mixing ratio, and of the others what their ratios ask for."""
        if self.lengths is None:
            return None
        usable = 1 - sum(self.lengths.unusable.values()) / max(1, len(self.lengths.tokens))
        ratios = [file.mixing_ratio for file in self.config.data]
        rows = zip(ratios, self.lengths.files, strict=True)
        whole = sum(count for ratio, count in rows if ratio is None)
        return round(whole * usable / (1 - sum(ratio or 0.0 for ratio in ratios)))

    @property
    def examples_a_step(self) -> int:
        """The number of examples of a step; of GRPO, the number of answers."""
        return self.config.examples_per_step(self.devices)

    @property
    def of_what(self) -> Literal["examples", "answers"]:
        """What `examples_a_step` counts."""
        return "answers" if isinstance(self.config, GrpoConfig) else "examples"

    @property
    def steps(self) -> int | None:
        """The number of steps; None if it depends on the clock or on missing data."""
        config, examples = self.config, self.examples_an_epoch
        if config.num_train_epochs is None or examples is None:
            return config.max_steps
        of_one = config.num_generations if isinstance(config, GrpoConfig) else 1
        steps_an_epoch = math.ceil(examples * of_one / self.examples_a_step)
        return math.ceil(config.num_train_epochs * steps_an_epoch)

    @cached_property
    def longest_batch(self) -> Batch:
        """The longest batch that can come.

        Answers of GRPO are the model's own; the longest that is allowed is assumed.
        """
        config, lengths, shape = self.config, self.lengths, self.network.config
        patches_a_token = shape.vision_config.spatial_merge_size**2
        limit: int = getattr(config, "max_length", shape.text_config.max_position_embeddings)
        answer = self.prompt_config.max_new_tokens
        if lengths is None:
            side = shape.vision_config.patch_size**2 * patches_a_token
            visual = self.prompt_config.max_pixels // side
            tokens = visual + 64 + answer  # 64: room for the words of the prompt
        else:
            visual, tokens = lengths.longest_visual, lengths.longest
        if isinstance(config, GrpoConfig):
            tokens = config.max_prompt_length + answer
            visual = min(visual, config.max_prompt_length)
        elif lengths is not None:
            answer = lengths.longest_answer
        return Batch(
            config.per_device_train_batch_size,
            min(limit, tokens),
            visual * patches_a_token,
            min(limit, answer),
        )

    @property
    def _trained_bytes(self) -> int:
        """Bytes of a trained weight: float32, but TRL casts adapters on 4-bit weights to bfloat16."""
        return 2 if self.config.quantisation == "nf4" else 4

    @property
    def _training(self) -> Training:
        config = self.config
        how: Treatment = "full" if config.lora is None else "lora"
        treatments: dict[str, Any] = dict.fromkeys(config.trainable_modules, how)
        return Training(
            **treatments,
            dropout=config.lora is not None and config.lora.lora_dropout > 0,
            checkpointing=config.gradient_checkpointing,
            precision_bytes=4 if self.precision == "float32" else 2,
            adapter_bytes=self._trained_bytes,
        )

    @cached_property
    def memory(self) -> Memory:
        """Bytes on one device.

        Trained weights have a gradient of their own precision and the optimiser's state; in full
        fine-tuning autocast keeps a copy of them in the precision of the arithmetic. DDP holds the
        gradients once more, in the buckets that it sends. FSDP2 splits gradients, optimiser and
        weights over the devices, but for the widest layer, which is gathered whole.
        """
        config, devices = self.config, self.devices
        weights = widest = 0.0
        for name, parameter in self.network.named_parameters():
            plain_name = name.removeprefix("base_model.model.").replace(".base_layer", "")
            size = NF4_BYTES if plain_name in self.quantised else parameter.element_size()
            if parameter.requires_grad:
                size = self._trained_bytes
                if config.lora is None and self.precision != "float32":
                    size += 2
            weights += size * parameter.numel()
            widest = max(widest, size * parameter.numel())
        gradients = float(self._trained_bytes * self.trained)
        optimizer = OPTIMIZER_BYTES[config.optim] * self.trained
        if config.optim == "adamw_torch":
            optimizer *= self._trained_bytes / 4
        if devices > 1 and self.layout == "ddp":
            gradients *= 2
        elif devices > 1:
            gradients, optimizer = gradients / devices, optimizer / devices
            weights = weights / devices + widest
        activations, checkpointed = (
            activation_bytes(
                self.network.config,
                self.longest_batch,
                replace(self._training, checkpointing=checkpointing),
            )
            for checkpointing in (False, True)
        )
        return Memory(
            weights, gradients, optimizer, activations, checkpointed, config.gradient_checkpointing
        )

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is likely wrong with the recipe."""
        from texlens.train.plan.checks import warnings_for

        return tuple(warnings_for(self))


def dry_run(config: FineTuningConfig, *, devices: int = 1, layout: Layout = "ddp") -> DryRun:
    """Estimate a run without its weights.

    Args:
        config: the recipe.
        devices: the number of processes, with one device each.
        layout: how they share the work.

    Raises:
        InputError: the shape of the base is not known, or a data file cannot be used.
    """
    source = base_source(config)
    base = build_on_meta(source, precision_of(config))
    base_parameters = sum(p.numel() for p in base.parameters())
    # 4-bit loading packs the linear layers of the language model, but the last.
    quantised = frozenset(
        f"{name}.weight"
        for name, module in base.named_modules()
        if config.quantisation is not None
        and isinstance(module, torch.nn.Linear)
        and "visual" not in name
        and name != "lm_head"
    )
    network = _to_be_trained(base, config)
    prompt_config = config.prompt_config.applied_to(prompt_config_of(source, config.adapter))
    lengths = None
    if all(file.parquet.exists() for file in config.data):
        processor, exact = processor_of(source, base.config, prompt_config)
        if exact and isinstance(config, GrpoConfig):
            bounded = within_limit(Loaded(None, processor, prompt_config), config.max_prompt_length)
            prompt_config = bounded.prompt_config
        lengths = measure_lengths(config.data, processor, prompt_config, exact=exact)
    return DryRun(
        config, devices, layout, network, base_parameters, quantised, prompt_config, lengths
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
            shape.base_model_name_or_path = None  # the base here has no name, and PEFT would warn
            return get_peft_model(base, shape)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The adapter '{adapter}' does not fit '{config.model}': {error}"
        ) from error
