"""The network of a fine-tuning run: a base, what of it is trained, and in which precision.

LoRA or full, on the parts that a recipe names, over weights of 32, 16 or 4 bits. Supervised
fine-tuning and GRPO start here; `texlens.model.merge` ends what LoRA begins.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from texlens.errors import InputError, require_extra
from texlens.model.load import EMBEDDED, Loaded, load_model
from texlens.train.run.settings import Part, TuningConfig

# The linear layers of each part, by their full names. Projections of the language model and of
# the vision tower share names (gate_proj, up_proj, down_proj): these expressions tell them apart.
_LINEAR_LAYERS: dict[Part, str] = {
    "language_model": (
        r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
    ),
    "vision": r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)",
    "merger": r"model\.visual\.merger\.mlp\.[02]",
}

_SMALL = 100_000_000  # parameters


def load_for_training(config: TuningConfig) -> Loaded:
    """The network that a recipe trains, on its device, with processor and prompt_config.

    With `lora` it is a PEFT model: a new adapter, or the recipe's `adapter` to be continued.
    Without, it is the plain model, into which the recipe's `adapter` has been merged. Exactly the
    weights to be trained ask for gradients. The prompt configuration is the start's with the recipe's changes.

    Raises InputError when model or adapter cannot be loaded, or the adapter has another shape than
    the recipe's LoRA.
    """
    require_extra("Fine-tuning", "train", "trl", "peft", "accelerate", "datasets")
    # Old names of settings that the libraries still use among themselves.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\b")
    device = training_device(config.device)
    start = load_model(
        config.model,
        config.adapter if config.lora is None else None,
        dtype=precision_of(config),
        device=device,
        quantisation=config.quantisation,
    )
    network = start.model
    if attention_of(config) == "flash_attention_2":
        network.set_attn_implementation("flash_attention_2")
    torch.manual_seed(config.seed)  # a new adapter begins at random
    prompt_config = start.prompt_config
    if config.lora is None:
        if config.adapter is not None:
            network = network.merge_and_unload()
        for name, parameter in network.named_parameters():
            if part_of(name) in config.parts:
                parameter.data = parameter.data.float()
                parameter.requires_grad_(True)
    elif config.adapter is None:
        from peft import get_peft_model

        network = get_peft_model(network, lora_config(config))
    else:
        network, prompt_config = _continued(network, config, start)
    if config.lora is not None and config.quantisation is None and is_small(network):
        from texlens.train.run.folded_lora import fold_lora

        fold_lora(network)
    base = config.model or prompt_config.base
    prompt_config = config.prompt_config.applied_to(prompt_config).model_copy(update={"base": base})
    return Loaded(network, start.processor, prompt_config)


def lora_config(config: TuningConfig) -> Any:
    """PEFT's configuration of a recipe's LoRA."""
    from peft import LoraConfig

    assert config.lora is not None
    return LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        bias="none",
        target_modules=lora_targets(config.parts),
        task_type="CAUSAL_LM",
    )


def lora_targets(parts: Iterable[Part]) -> str:
    """A regular expression for the full names of the linear layers of these parts, and no other."""
    return "|".join(f"({_LINEAR_LAYERS[part]})" for part in sorted(set(parts)))


def part_of(parameter: str) -> Part:
    """The part that a parameter of a plain model belongs to, by its full name."""
    if "visual.merger." in parameter:
        return "merger"
    return "vision" if "visual." in parameter else "language_model"


def count_parameters(network: torch.nn.Module) -> tuple[int, int]:
    """How many weights are trained, and how many there are; 4-bit weights count unpacked."""
    trained = total = 0
    for parameter in network.parameters():
        count = parameter.numel()
        if type(parameter).__name__ == "Params4bit":
            count *= 2 * parameter.element_size()
        total += count
        trained += count if parameter.requires_grad else 0
    return trained, total


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


def precision_of(config: TuningConfig) -> str:
    """`float32` or `bfloat16`: what a recipe's `auto` means here."""
    if config.precision != "auto":
        return config.precision
    return "float32" if on_cpu(config) else "bfloat16"


def on_cpu(config: TuningConfig) -> bool:
    """Whether a recipe trains on the CPU here."""
    return config.device == "cpu" or not torch.cuda.is_available()


def attention_of(config: TuningConfig) -> str:
    """`sdpa` or `flash_attention_2`: what a recipe's `auto` means here."""
    if config.attention != "auto":
        return config.attention
    works = (
        torch.cuda.is_available()
        and importlib.util.find_spec("flash_attn") is not None
        and precision_of(config) == "bfloat16"
    )
    return "flash_attention_2" if works else "sdpa"


def base_name(config: TuningConfig) -> str:
    """The base of a recipe as a person writes it."""
    return config.model or "the embedded small model"


def base_source(config: TuningConfig) -> str:
    """The folder or hub name of a recipe's base."""
    return str(EMBEDDED) if config.model is None else config.model


def _continued(network: Any, config: TuningConfig, start: Loaded) -> tuple[Any, Any]:
    """The base with the recipe's adapter, to be trained on; and the adapter's prompt_config."""
    from peft import PeftModel

    from texlens.model.prompt_config import load_prompt_config

    assert config.adapter is not None
    assert config.lora is not None
    folder = Path(config.adapter).expanduser()
    if folder.exists() and not (folder / "adapter_config.json").is_file():
        raise InputError(f"The folder '{folder}' holds no adapter: it has no adapter_config.json.")
    try:
        network = PeftModel.from_pretrained(
            network, str(config.adapter), is_trainable=True, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"The adapter '{config.adapter}' cannot be continued on {base_name(config)}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    found = network.peft_config["default"]
    wanted = lora_config(config)
    for setting in ("r", "lora_alpha", "target_modules"):
        if getattr(found, setting, None) != getattr(wanted, setting):
            raise InputError(
                f"The adapter '{config.adapter}' was trained with another {setting} "
                f"({getattr(found, setting, None)}): give the recipe the same rank, alpha and "
                "parts, or merge the adapter first with `texlens merge`."
            )
    return network, load_prompt_config(folder) or start.prompt_config
