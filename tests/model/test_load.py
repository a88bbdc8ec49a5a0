"""Loading a model: what cannot be loaded is one sentence that names the way out."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from texlens import errors
from texlens.errors import InputError, MissingExtra, TexlensError
from texlens.model.load import EMBEDDED, load_model


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no model: it has no config\.json"):
        load_model(tmp_path)


def test_a_file_and_a_name_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        load_model(tmp_path / "weights")
    with pytest.raises(InputError, match="no name on the hub"):
        load_model(tmp_path / "absent")


def test_a_model_without_safetensors(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights in safetensors form"):
        load_model(folder)


def test_weights_that_were_cut_short(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(InputError, match="are damaged or cut short"):
        load_model(folder)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (GatedRepoError, "is gated: accept its conditions on huggingface.co"),
        (RepositoryNotFoundError, "There is no model 'some/model' on the hub, or it is private"),
        (LocalEntryNotFoundError, "the hub cannot be reached: give --model a local folder"),
        (None, "the disk of the hub's cache is full"),
    ],
)
def test_what_the_hub_refuses_is_named(
    kind: Any, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers raises an OSError, whose cause is the hub's error."""

    def refuse(source: str) -> None:
        if kind is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        try:
            raise kind.__new__(kind)
        except Exception as error:
            raise OSError(f"{source} cannot be loaded") from error

    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(EMBEDDED))
    monkeypatch.setattr("texlens.model.processor.load_processor", refuse)
    with pytest.raises(TexlensError, match=complaint) as raised:
        load_model("some/model")
    assert "\n" not in str(raised.value)


def test_an_adapter_that_the_hub_refuses_is_named(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT raises a ValueError, whose cause is the hub's error."""
    for kind, complaint in (
        (GatedRepoError, "The adapter 'some/adapter' is gated"),
        (RepositoryNotFoundError, "There is no adapter 'some/adapter' on the hub"),
    ):

        def refuse(*arguments: Any, kind: Any = kind, **settings: Any) -> None:
            try:
                raise kind.__new__(kind)
            except Exception as error:
                raise ValueError("Can't find 'adapter_config.json'") from error

        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(tmp_path))
        (tmp_path / "adapter_config.json").write_text("{}")
        monkeypatch.setattr("peft.PeftModel.from_pretrained", refuse)
        with pytest.raises(InputError, match=complaint):
            load_model(model_folder, "some/adapter")


def test_a_model_that_does_not_fit_into_memory(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: torch.nn.Module, *arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(InputError, match="does not fit into the memory of the device"):
        load_model(model_folder, device="cpu")


def test_4_bits_without_bitsandbytes(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = errors.is_installed
    monkeypatch.setattr(
        errors, "is_installed", lambda name: name != "bitsandbytes" and installed(name)
    )
    with pytest.raises(MissingExtra, match="4-bit loading needs the Python package 'bitsandbytes'"):
        load_model(model_folder, quantisation="nf4")


def test_another_kind_of_model(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match=r"'bert', not a Qwen2\.5-VL"):
        load_model(folder)


def test_a_damaged_configuration(model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    for content in ("{", "[]", "{}"):
        (folder / "config.json").write_text(content)
        with pytest.raises(InputError, match="is damaged"):
            load_model(folder)


def test_a_device_that_is_not_there(model_folder: Path) -> None:
    if torch.cuda.is_available():
        assert load_model(model_folder, device="cuda").model.device.type == "cuda"
        return
    with pytest.raises(InputError, match="no CUDA device"):
        load_model(model_folder, device="cuda")


def test_int8_reads_much_as_float32(model_folder: Path) -> None:
    full, small = (load_model(model_folder, device="cpu", quantisation=q) for q in (None, "int8"))
    tokens = torch.tensor([[5, 40, 60, 7]])
    with torch.inference_mode():
        logits = [loaded.model(input_ids=tokens).logits.flatten() for loaded in (full, small)]
    assert torch.corrcoef(torch.stack(logits))[0, 1] > 0.98
    assert not torch.equal(*logits)
