"""Merging: the weights of a LoRA adapter added to those of its base.

`merged` does it in memory, wherever training or decoding needs a plain network. `merge_adapter`
writes the result as a folder that stock transformers loads.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal

from texlens.errors import InputError
from texlens.model.card import write_merged_card
from texlens.model.load import load_model, locate
from texlens.model.small import missing_prompt_config
from texlens.runs import provenance, write_json

MARKER = "merge.json"  # written last: a folder that has it is finished


def merge_adapter(
    adapter: str | Path,
    out: Path,
    *,
    model: str | Path | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> dict[str, Any]:
    """Write the merged model with processor, prompt configuration and a draft of its card.

    Args:
        adapter: the folder of the adapter.
        out: the folder to write, which is empty.
        model: the base; None: the one that the adapter names.
        dtype: of the written weights. Each sum is computed in float32 and rounded once. `auto` is
            the type of the base's weights.

    Returns:
        The content of `merge.json`.

    Raises:
        InputError: base or adapter cannot be loaded.
        TexlensError: the hub cannot be reached.
    """
    base = model if model is not None else base_of(adapter)
    source, folder = locate(base, "model", "config.json")
    kind = _stored_dtype(folder) if dtype == "auto" else dtype
    loaded = load_model(source, adapter, dtype=kind, device="cpu")
    if loaded.prompt_config.pixels_per_em is None and (advice := missing_prompt_config(folder)):
        warnings.warn(advice, stacklevel=2)  # the merged folder will have the default prompt
    network = merged(loaded.model)
    network.save_pretrained(out)
    loaded.processor.save_pretrained(out)
    loaded.prompt_config.save(out)
    record = {
        "model": str(base),
        "adapter": str(adapter),
        "dtype": kind,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "versions": provenance("torch", "transformers", "peft"),
    }
    write_merged_card(out, Path(adapter).expanduser(), loaded.prompt_config, record)
    write_json(out / MARKER, record)
    return record


def merged(network: Any) -> Any:
    """The plain model of a PEFT model, its active adapters added to the weights in place.

    A plain model is returned as it is. Weights of 4 bits are not supported.
    """
    if not hasattr(network, "peft_config"):
        return network
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [module for module in network.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        weight = layer.get_base_layer().weight
        weight.data = with_adapters(layer, weight.data)
    return network.unload()


def with_adapters(layer: Any, weight: Any) -> Any:
    """The matrix (out, in) of a PEFT layer with its active adapters added, in the matrix's type."""
    for name in layer.active_adapters:
        # PEFT's own merge adds in the weights' type: a small update is lost in bfloat16.
        weight = (weight.float() + layer.get_delta_weight(name).float()).to(weight.dtype)
    return weight


def base_of(adapter: str | Path) -> str:
    """The base that an adapter was trained on, by its `adapter_config.json`.

    Raises InputError when the folder is no adapter, or names no base.
    """
    path = Path(adapter).expanduser() / "adapter_config.json"
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except FileNotFoundError as error:
        raise InputError(
            f"The folder '{adapter}' holds no adapter: it has no adapter_config.json."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged: the adapter's base is not known.") from error
    if not named:
        raise InputError(f"'{path}' names no base: give --model.")
    return str(named)


def _stored_dtype(folder: Path) -> str:
    """The type of a base's weights, by its configuration."""
    from transformers import AutoConfig

    kind = getattr(AutoConfig.from_pretrained(folder), "dtype", None)
    return str(kind).removeprefix("torch.") if kind is not None else "float32"
