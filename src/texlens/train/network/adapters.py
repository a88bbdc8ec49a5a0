"""The network of a fine-tuning run: a base, which weights of it are trained, and in which precision.

LoRA or full fine-tuning, of the modules that a recipe names, over weights of 32, 16 or 4 bits.
Supervised fine-tuning and GRPO load their network here.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterable
from typing import Any

import torch

from texlens.errors import InputError, require_extra
from texlens.model.load import EMBEDDED, Loaded, load_model
from texlens.model.merge import merged
from texlens.model.small import missing_prompt_config
from texlens.train.network.folded_lora import fold_lora
from texlens.train.settings import FineTuningConfig, ModuleName

# The linear layers of each module, by their full names. Projections of the language model and of
# the vision tower share names (gate_proj, up_proj, down_proj): these expressions tell them apart.
_LINEAR_LAYERS: dict[ModuleName, str] = {
    "language_model": (
        r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
    ),
    "vision": r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)",
    "merger": r"model\.visual\.merger\.mlp\.[02]",
}

_SMALL = 100_000_000  # parameters


def is_sharded() -> bool:
    """Whether each process holds only a part of the weights (FSDP): accelerate's launcher says so."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false") == "true"


def load_for_training(config: FineTuningConfig) -> Loaded:
    """The network that a recipe trains, on its device, with processor and prompt configuration.

    With `lora` it is a PEFT model: with a new adapter, or with the recipe's `adapter` to continue.
    Without, it is the plain model, into which the recipe's `adapter` has been merged. Only the
    weights to be trained require gradients. The prompt configuration is that of the start with the
    recipe's changes.

    Raises InputError when model or adapter cannot be loaded, or the adapter has another shape than
    the recipe's LoRA.
    """
    require_extra("Fine-tuning", "train", "trl", "peft", "accelerate", "datasets")
    # Old names of settings that the libraries still use among themselves.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\b")
    # An adapter is merged in float32: in bfloat16 most of a small update is lost.
    is_merged = config.lora is None and config.adapter is not None
    start = load_model(
        config.model,
        config.adapter,
        dtype="float32" if is_merged else precision_of(config),
        # Where FSDP spreads the weights it also moves them: a card never holds all of them.
        device="cpu" if is_sharded() else training_device(config.device),
        quantisation=config.quantisation,
        train_adapter=config.lora is not None,
    )
    network = start.model
    if attention_of(config) == "flash_attention_2":
        network.set_attn_implementation("flash_attention_2")
    if config.lora is None:
        network = merged(network)
        mark_trainable(network, config.trainable_modules)
        for parameter in network.parameters() if is_merged else ():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(getattr(torch, precision_of(config)))
    elif config.adapter is None:
        from peft import get_peft_model

        torch.manual_seed(config.seed)  # a new adapter is initialised at random
        network = get_peft_model(network, lora_config(config))
    else:
        _check_shape(network.peft_config["default"], config)
    if config.lora is not None and config.quantisation is None and is_small(network):
        fold_lora(network)
    base = config.model or start.prompt_config.base
    changed = config.prompt_config.applied_to(start.prompt_config)
    if changed.pixels_per_em is None and start.folder is not None:
        advice = missing_prompt_config(start.folder)
        if advice is not None:
            warnings.warn(advice, stacklevel=2)
    return Loaded(network, start.processor, changed.model_copy(update={"base": base}))


def mark_trainable(network: torch.nn.Module, modules: Iterable[ModuleName]) -> None:
    """Let the weights of these modules, and no others, be trained: in float32."""
    for name, parameter in network.named_parameters():
        trained = module_of(name) in modules
        parameter.requires_grad_(trained)
        if trained:
            parameter.data = parameter.data.float()


def lora_config(config: FineTuningConfig) -> Any:
    """PEFT's configuration of a recipe's LoRA."""
    from peft import LoraConfig

    assert config.lora is not None
    return LoraConfig(
        **config.lora.model_dump(),
        bias="none",
        target_modules=lora_targets(config.trainable_modules),
        task_type="CAUSAL_LM",
    )


def lora_targets(modules: Iterable[ModuleName]) -> str:
    """A regular expression for the full names of exactly the linear layers of these modules."""
    return "|".join(f"({_LINEAR_LAYERS[module]})" for module in sorted(set(modules)))


def module_of(parameter: str) -> ModuleName:
    """The module that a parameter of a plain or PEFT model belongs to, by its full name."""
    if "visual.merger." in parameter:
        return "merger"
    return "vision" if "visual." in parameter else "language_model"


def count_parameters(network: torch.nn.Module) -> dict[str, int]:
    """The number of `trained` weights and the `total`; 4-bit weights count unpacked."""
    counts = {"trained": 0, "total": 0}
    for parameter in network.parameters():
        count = parameter.numel()
        if type(parameter).__name__ == "Params4bit":
            count *= 2 * parameter.element_size()
        counts["total"] += count
        counts["trained"] += count if parameter.requires_grad else 0
    return counts


def is_small(network: torch.nn.Module) -> bool:
    """Whether a network is so small that copies of its weights cost nothing."""
    return sum(parameter.numel() for parameter in network.parameters()) <= _SMALL


def training_device(name: str) -> str:
    """The device of this process; under a launcher of several, the GPU of its local rank."""
    rank = os.environ.get("LOCAL_RANK")
    if name in ("auto", "cuda") and rank is not None and torch.cuda.is_available():
        torch.cuda.set_device(int(rank))
        return f"cuda:{rank}"
    return name


def precision_of(config: FineTuningConfig) -> str:
    """`float32` or `bfloat16`: what a recipe's `auto` means here."""
    if config.precision != "auto":
        return config.precision
    return "float32" if on_cpu(config) else "bfloat16"


def on_cpu(config: FineTuningConfig) -> bool:
    """Whether a recipe trains on the CPU here."""
    return config.device == "cpu" or not torch.cuda.is_available()


def attention_of(config: FineTuningConfig) -> str:
    """`sdpa` or `flash_attention_2`: what a recipe's `auto` means here."""
    if config.attn_implementation != "auto":
        return config.attn_implementation
    works = (
        torch.cuda.is_available()
        and importlib.util.find_spec("flash_attn") is not None
        and precision_of(config) == "bfloat16"
    )
    return "flash_attention_2" if works else "sdpa"


def base_model(network: Any) -> Any:
    """The Qwen2.5-VL in a PEFT model; a plain one is returned as it is."""
    return network.get_base_model() if hasattr(network, "peft_config") else network


def base_source(config: FineTuningConfig) -> str:
    """The folder or hub name of a recipe's base."""
    return config.model or str(EMBEDDED)


def _check_shape(found: Any, config: FineTuningConfig) -> None:
    """Refuse an adapter to continue that has another shape than the recipe's."""
    wanted = lora_config(config)
    for setting in ("r", "lora_alpha", "target_modules"):
        if getattr(found, setting, None) != getattr(wanted, setting):
            raise InputError(
                f"The adapter '{config.adapter}' was trained with another {setting} "
                f"({getattr(found, setting, None)}): give the recipe the same r, lora_alpha and "
                "trainable_modules, or merge the adapter first with `texlens merge`."
            )
