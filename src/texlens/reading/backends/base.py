"""The interface of what runs a model: torch, or onnxruntime where torch cannot be used.

A backend takes framed pictures and returns the tokens that the model generates. The reader does the
rest (opening pictures, batches, reading again, warnings), the same way for all backends.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from texlens.errors import InputError, MissingExtra, require_extra
from texlens.imports import import_failure, is_installed, leave_out_broken_torchvision
from texlens.model.load import EMBEDDED, Loaded, Quantisation, load_model
from texlens.model.prompt_config import PromptConfig, prompt_for
from texlens.model.small import missing_prompt_config
from texlens.reading.decoding.generation import GREEDY, Completion, DecodingConfig
from texlens.reading.pictures.framing import Frame

BackendName = Literal["auto", "torch", "onnx"]
Decoding = Literal["greedy", "model"]
"""How answers are decoded: greedily, or as the model's own generation configuration asks."""

_MODEL_MODULE = "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"


class Backend(Protocol):
    """A loaded model.

    Attributes:
        prompt: the text before the answer.
        frame: the layout of the pictures; None: as they are.
        batch_size: a good number of pictures at a time.
        folder: of the weights.
        vocabulary: the number of tokens.
        end_tokens: the tokens that end an answer.
        generation_config: the settings of the model's own generation configuration that have other
            values than greedy decoding.
    """

    prompt_config: PromptConfig
    prompt: str
    frame: Frame | None
    batch_size: int
    folder: Path | None
    vocabulary: int
    end_tokens: tuple[int, ...]
    generation_config: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """A hash over a sample of every tensor of the model."""
        ...

    def decode(
        self, pictures: Sequence[Image.Image], decoding: DecodingConfig = GREEDY
    ) -> list[Completion]:
        """The answer to each picture (mode RGB)."""
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        ...


def open_backend(
    model: str | Path | Loaded | None = None,
    adapter: str | Path | None = None,
    *,
    backend: BackendName = "auto",
    device: str = "auto",
    dtype: str = "auto",
    quantisation: Quantisation | None = None,
    max_new_tokens: int | None = None,
    prompt: PromptConfig | str | Path | None = None,
    decoding: Decoding = "greedy",
) -> Backend:
    """A backend with a model, loaded as `load_model` does; a loaded one is run in torch.

    "auto": torch where it can be imported, else onnxruntime. onnxruntime runs the models whose folder
    holds their graphs, the embedded one among them: on the CPU, in float32, without adapter, greedily.
    `prompt` replaces the model's own, as `prompt_for` takes it.

    Raises InputError when the model cannot be loaded, or not by this backend.
    """
    if backend == "auto" and decoding == "model":
        backend = "torch"
    if backend == "auto":
        backend = _available_backend()
    if backend == "torch" or isinstance(model, Loaded):
        require_extra("Reading with torch", "model", "torch", "transformers", "llguidance")
        from texlens.reading.backends.torch_backend import TorchBackend

        if not isinstance(model, Loaded):
            model = load_model(model, adapter, dtype, device, quantisation)
        model = replace(model, prompt_config=prompt_for(prompt, model.prompt_config))
        return _checked(TorchBackend(model, max_new_tokens=max_new_tokens))
    require_extra(
        "Reading without torch", "read", "onnxruntime", "tokenizers", "safetensors", "llguidance"
    )
    options = {
        "an adapter": adapter is not None,
        f"the device '{device}'": device not in ("auto", "cpu"),
        f"the dtype '{dtype}'": dtype not in ("auto", "float32"),
        f"{quantisation} weights": quantisation is not None,
        "the model's own decoding": decoding == "model",
    }
    for option, is_given in options.items():
        if is_given:
            raise InputError(
                f"onnxruntime runs no model with {option}: run  pip install 'texlens[model]'  "
                "and read with torch."
            )
    from texlens.reading.backends.onnx_backend import OnnxBackend

    folder = EMBEDDED if model is None else Path(model)
    return _checked(OnnxBackend(folder, max_new_tokens=max_new_tokens, prompt=prompt))


def _checked(backend: Backend) -> Backend:
    """The backend. Warns where a small model gets pictures in another layout than its own."""
    if backend.frame is None and backend.folder is not None:
        advice = missing_prompt_config(backend.folder)
        if advice is not None:
            warnings.warn(advice, stacklevel=4)
    return backend


def _available_backend() -> Literal["torch", "onnx"]:
    """torch where it and transformers' class of the model can be imported, else onnxruntime.

    Raises InputError where there is neither.
    """
    failure = None
    if is_installed("torch") and is_installed("transformers"):
        leave_out_broken_torchvision()
        failure = import_failure("torch") or import_failure(_MODEL_MODULE)
        if failure is None:
            return "torch"
    if not is_installed("onnxruntime"):
        if failure is not None:
            raise InputError(f"torch is installed and cannot be used: {failure}")
        raise MissingExtra("Reading pictures", "read", "onnxruntime")
    if failure is not None:
        warnings.warn(
            f"torch is installed and cannot be used, so onnxruntime reads ({failure}).",
            stacklevel=3,
        )
    return "onnx"
