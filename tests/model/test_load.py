"""Loading a model: what cannot be loaded is one sentence that names the way out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from texlens.errors import InputError
from texlens.model.load import load_model


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
