"""Loading a model: a folder or a name on the hub, with an adapter, quantised, ready to read."""

from __future__ import annotations

import json
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from texlens.errors import InputError, TexlensError, require_extra, with_causes
from texlens.hub import Asked, explained
from texlens.model.prompt_config import PromptConfig, load_prompt_config

if TYPE_CHECKING:
    from texlens.model.processor import PictureProcessor

Quantisation = Literal["int8", "nf4"]

EMBEDDED = Path(__file__).resolve().parent.parent / "assets" / "small"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with all that is needed to use it.

    `model` is a `Qwen2_5_VLForConditionalGeneration`, or a PEFT model around one. `folder` is that
    of its weights (the adapter's, if it has one), in the hub's cache for one from there; None for a
    model that was never saved.
    """

    model: Any
    processor: PictureProcessor
    prompt_config: PromptConfig
    folder: Path | None = None


def load_model(
    model: str | Path | None = None,
    adapter: str | Path | None = None,
    dtype: str = "auto",
    device: str = "auto",
    quantisation: Quantisation | None = None,
    train_adapter: bool = False,
) -> Loaded:
    """Load a Qwen2.5-VL for reading.

    The prompt configuration is the adapter's, else the model's, else the default prompt.

    Args:
        model: a folder, a name on the hub, or None for the embedded small model.
        adapter: a folder or name of a LoRA adapter for it.
        dtype: "float32", "bfloat16", "float16" or "auto" (float32 on a CPU, bfloat16 elsewhere).
        device: "cpu", "cuda", "mps" or "auto".
        quantisation: "int8" (dynamic, linear layers, CPU only) or "nf4" (4-bit, needs bitsandbytes).
        train_adapter: let the adapter's weights require gradients; all others never do.

    Raises:
        InputError: the model or adapter cannot be found or used.
        TexlensError: the hub cannot be reached, or its cache is full.
    """
    require_extra("Loading a model", "model", "torch", "transformers")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    source, folder = locate(EMBEDDED if model is None else model, "model", "config.json")
    read_config(folder)
    adapter_source = None
    prompt_config = load_prompt_config(folder) or PromptConfig(base=source)
    if adapter is not None:
        adapter_source, folder = locate(adapter, "adapter", "adapter_config.json")
        prompt_config = load_prompt_config(folder) or prompt_config
    place = _device(device)
    kind = _dtype(dtype, place)
    from safetensors import SafetensorError
    from transformers import Qwen2_5_VLForConditionalGeneration

    from texlens.model.processor import load_processor
    from texlens.model.vision_attention import batch_vision_attention

    options: dict[str, Any] = {"dtype": kind, "attn_implementation": "sdpa"}
    if quantisation == "nf4":
        require_extra("4-bit loading", "train", "bitsandbytes")
        # It reports which of its faster kernels are not installed.
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=kind,
            # Without the prefix the vision tower would be quantised too.
            llm_int8_skip_modules=["model.visual", "lm_head"],
        )
    try:
        processor = load_processor(source)
        network = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _failure(source, error) from error
    if adapter_source is not None:
        network = _with_adapter(network, adapter_source, train_adapter)
    batch_vision_attention(network)
    network = network.eval()
    if quantisation != "nf4":
        try:
            network = network.to(place)
        except RuntimeError as error:
            raise _failure(source, error) from error
    if quantisation == "int8":
        if place != "cpu":
            raise InputError("int8 works on the CPU only: drop it, or give --device cpu.")
        network = _dynamic_int8(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(train_adapter and "lora_" in name)
    return Loaded(network, processor, prompt_config, folder)


def locate(name: str | Path, what: str, marker: str) -> tuple[str, Path]:
    """What transformers loads a model or adapter by, and the folder of its files.

    For a name on the hub it is the folder in the hub's cache, which has only small files at first.
    `marker` is a file that the folder must have.
    """
    text = str(name)
    folder = Path(text).expanduser()
    if folder.is_dir():
        if not (folder / marker).is_file():
            raise InputError(f"The folder '{text}' holds no {what}: it has no {marker}.")
        return str(folder), folder
    if folder == EMBEDDED:
        raise InputError(
            "This installation has no embedded model: give --model, a folder of a Qwen2.5-VL."
        )
    if folder.exists():
        raise InputError(f"'{text}' is a file: give the folder that holds the {what}.")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text):
        raise InputError(
            f"There is no folder '{text}', and it is no name on the hub (owner/name) either."
        )
    return text, _fetch_settings(text, what, marker)


def _fetch_settings(name: str, what: str, marker: str) -> Path:
    """The folder in the hub's cache with the JSON files of a repository.

    transformers would fetch those that it knows; `texlens.json` is none of them.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=["*.json"]))
    except Exception as error:
        raise _failure(name, error, what) from error
    if not (folder / marker).is_file():
        raise InputError(f"The repository '{name}' on the hub holds no {what}: it has no {marker}.")
    return folder


def read_config(folder: Path) -> dict[str, Any]:
    """The content of the `config.json` in a folder of a Qwen2.5-VL.

    Raises InputError when it is damaged or of another kind of model, out of which transformers
    would make a random network.
    """
    path = folder / "config.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = document["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged: it is not the configuration of a model.") from error
    if kind != "qwen2_5_vl":
        raise InputError(f"The folder '{folder}' holds a model of type '{kind}', not a Qwen2.5-VL.")
    return document


def _failure(source: str, error: Exception, what: str = "model") -> TexlensError:
    """Why a model or an adapter could not be loaded."""
    from safetensors import SafetensorError
    from torch import OutOfMemoryError

    folder, text, causes = Path(source), " ".join(str(error).split()), list(with_causes(error))
    if any(isinstance(cause, OutOfMemoryError) for cause in causes):
        return InputError(
            f"The {what} '{source}' does not fit into the memory of the device: {text[:100]}"
        )
    if any(isinstance(cause, SafetensorError) for cause in causes):
        return InputError(
            f"The weights of '{source}' are damaged or cut short ({text[:100]}): copy or fetch them "
            "again."
        )
    if not folder.is_dir():
        otherwise = f"give --{what} a local folder, or check the network"
        return explained(error, Asked(what, source, "loaded", otherwise=otherwise))
    if what == "adapter":
        return InputError(f"The adapter '{source}' cannot be used with this model: {text[:200]}")
    if not any(folder.glob("*.safetensors")):
        return InputError(
            f"The folder '{source}' has no weights in safetensors form (other forms are unsafe)."
        )
    return InputError(f"The model in '{source}' cannot be loaded: {text[:200]}")


def _with_adapter(network: Any, adapter: str, trainable: bool) -> Any:
    require_extra("Loading an adapter", "model", "peft")
    # peft imports it where it is installed, and it logs a faster kernel that is not.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            # Old names of settings that the two libraries still use between themselves.
            warnings.filterwarnings("ignore", category=FutureWarning, module="(transformers|peft)")
            return PeftModel.from_pretrained(
                network, adapter, is_trainable=trainable, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _failure(adapter, error, "adapter") from error


def _device(name: str) -> str:
    import torch

    if name != "auto":
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise InputError("There is no CUDA device here: give --device cpu.")
        if name == "mps" and not torch.backends.mps.is_available():
            raise InputError("There is no MPS device here: give --device cpu.")
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _dtype(name: str, device: str) -> Any:
    import torch

    if name == "auto":
        return torch.float32 if device == "cpu" else torch.bfloat16
    kind = getattr(torch, name, None)
    if kind not in (torch.float32, torch.bfloat16, torch.float16):
        raise InputError(f"'{name}' is no dtype: float32, bfloat16 or float16.")
    return kind


def _dynamic_int8(network: Any) -> Any:
    """Linear layers with int8 weights; activations are quantised dynamically (CPU)."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a deprecation that names no replacement in torch itself
        return torch.ao.quantization.quantize_dynamic(network, {torch.nn.Linear}, dtype=torch.qint8)
