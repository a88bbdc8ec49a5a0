"""The interface of what runs a model: onnxruntime where the model has graphs for it, else torch.

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

from texlens.errors import InputError, require_extra
from texlens.imports import import_failure, is_installed, leave_out_broken_torchvision
from texlens.model.load import EMBEDDED, Loaded, Quantisation, load_model
from texlens.model.prompt_config import PromptConfig, prompt_for
from texlens.model.small import missing_prompt_config
from texlens.reading.decoding.generation import GREEDY, Completion, DecodingConfig
from texlens.reading.pictures.framing import Frame
from texlens.runs import read_json

GRAPHS = ("vision", "decoder")

_NO_SHAPE = ("dtype", "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range")

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
        concurrency: how many threads may call `decode` at the same time.
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
    concurrency: int
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

    "auto": onnxruntime where it is installed and can do what is asked, else torch. onnxruntime runs
    the models that have graphs (`graphs_of`), the embedded one among them: on the CPU, in float32 or
    int8, without adapter, greedily. `prompt` replaces the model's own, as `prompt_for` takes it.

    Raises InputError when the model cannot be loaded, or not by this backend.
    """
    if isinstance(model, Loaded):
        return _checked(_torch_backend(model, max_new_tokens, prompt))
    folder = EMBEDDED if model is None else Path(model)
    options = {
        "an adapter": adapter is not None,
        f"the device '{device}'": device not in ("auto", "cpu"),
        f"the dtype '{dtype}'": dtype not in ("auto", "float32"),
        f"{quantisation} weights": quantisation == "nf4",
        "the model's own decoding": decoding == "model",
    }
    int8 = quantisation == "int8"
    needs_torch = [option for option, is_given in options.items() if is_given]
    if backend == "auto":
        fits_onnx = (
            not needs_torch and graphs_of(folder, int8=int8) is not None and has_onnxruntime()
        )
        backend = "onnx" if fits_onnx or not _has_torch() else "torch"
    if backend == "torch":
        loaded = load_model(model, adapter, dtype, device, quantisation)
        return _checked(_torch_backend(loaded, max_new_tokens, prompt))
    if needs_torch:
        raise InputError(
            f"onnxruntime runs no model with {needs_torch[0]}: run  pip install 'texlens[model]'  "
            "and read with torch."
        )
    from texlens.reading.backends.onnx_backend import OnnxBackend

    return _checked(OnnxBackend(folder, int8=int8, max_new_tokens=max_new_tokens, prompt=prompt))


def graph_file(graph: str, *, int8: bool = False) -> str:
    """The file name of one of the `GRAPHS` of a model."""
    return f"{graph}.int8.onnx" if int8 else f"{graph}.onnx"


def graphs_of(model: Path, *, int8: bool = False) -> Path | None:
    """The folder with the graphs by which onnxruntime runs the model in a folder; None: it cannot.

    They are in the model's own folder, or those of the embedded model for one of the same shape.
    """
    if all((model / graph_file(graph, int8=int8)).is_file() for graph in GRAPHS):
        return model
    shape = _shape(model)
    return EMBEDDED if shape and shape == _shape(EMBEDDED) else None


def _shape(model: Path) -> dict[str, Any]:
    """The settings of a model's two towers; empty where the folder holds none."""
    try:
        config = read_json(model / "config.json")
        towers: dict[str, Any] = {part: config[part] for part in ("text_config", "vision_config")}
    except (OSError, ValueError, KeyError):
        return {}
    return {
        part: {name: value for name, value in settings.items() if name not in _NO_SHAPE}
        for part, settings in towers.items()
    } | {"tied": config.get("tie_word_embeddings")}


def has_onnxruntime() -> bool:
    """Whether onnxruntime can be imported."""
    return is_installed("onnxruntime") and import_failure("onnxruntime") is None


def _torch_backend(
    model: Loaded, max_new_tokens: int | None, prompt: PromptConfig | str | Path | None
) -> Backend:
    require_extra("Reading with torch", "model", "torch", "transformers", "llguidance")
    from texlens.reading.backends.torch_backend import TorchBackend

    model = replace(model, prompt_config=prompt_for(prompt, model.prompt_config))
    return TorchBackend(model, max_new_tokens=max_new_tokens)


def _checked(backend: Backend) -> Backend:
    """The backend. Warns where a small model gets pictures in another layout than its own."""
    if backend.frame is None and backend.folder is not None:
        advice = missing_prompt_config(backend.folder)
        if advice is not None:
            warnings.warn(advice, stacklevel=4)
    return backend


def _has_torch() -> bool:
    """Whether torch and transformers are installed.

    Raises InputError where they are and cannot be imported, and where onnxruntime is not there either.
    """
    if is_installed("torch") and is_installed("transformers"):
        leave_out_broken_torchvision()
        failure = import_failure("torch") or import_failure(_MODEL_MODULE)
        if failure is not None:
            raise InputError(f"torch is installed and cannot be used: {failure}")
        return True
    if not is_installed("onnxruntime"):
        raise InputError("Reading pictures needs onnxruntime: run  pip install onnxruntime.")
    return False
