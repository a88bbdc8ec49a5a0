"""An adapter and its base made one: a plain folder that stock transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from texlens.errors import InputError
from texlens.model.load import load_model
from texlens.runs import provenance, write_json

MARKER = "merge.json"  # written last: a folder that has it is finished


def merge_adapter(
    adapter: str | Path,
    out: Path,
    *,
    model: str | Path | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> dict[str, Any]:
    """Add an adapter to the weights of its base and write the sum, with processor and prompt_config.

    `model` is the base; None: the one that the adapter names. Each sum is computed in float32 and
    rounded once to `dtype`; `auto` is the type of the base's own weights. `out` must be an empty
    folder.

    Returns what `merge.json` holds.
    Raises InputError when base or adapter cannot be loaded.
    """
    base = model if model is not None else base_of(adapter)
    kind = _stored_dtype(base) if dtype == "auto" else dtype
    loaded = load_model(base, adapter, dtype=kind, device="cpu")
    network = _sum(loaded.model)
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
    write_json(out / MARKER, record)
    return record


def _sum(network: Any) -> Any:
    """The plain model with the adapters' products added to its weights, layer by layer."""
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [module for module in network.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        weight = layer.get_base_layer().weight
        for name in layer.active_adapters:
            # PEFT's own merge adds in the weights' type: a small update is lost in bfloat16.
            delta = layer.get_delta_weight(name).float()
            weight.data = (weight.data.float() + delta).to(weight.dtype)
    return network.unload()


def base_of(adapter: str | Path) -> str:
    """The base that an adapter was trained on, by its `adapter_config.json`.

    Raises InputError when the folder is no adapter, or names none.
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


def _stored_dtype(model: str | Path) -> str:
    """The type that the weights of a base are kept in, by its configuration."""
    from transformers import AutoConfig

    kind = getattr(AutoConfig.from_pretrained(model), "dtype", None)
    return str(kind).removeprefix("torch.") if kind is not None else "float32"
