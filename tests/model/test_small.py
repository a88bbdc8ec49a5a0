"""Folders that other software saved: without `texlens.json`, with only `processor_config.json`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import ProcessorMixin, Qwen2_5_VLConfig

from texlens.errors import InputError
from texlens.model.image_settings import image_settings
from texlens.model.load import EMBEDDED
from texlens.model.processor import load_processor
from texlens.model.qwen_shapes import model_config
from texlens.model.small import is_small, missing_prompt_config
from texlens.reading import Reader
from texlens.reading.backends.base import BackendName
from texlens.train.plan.lengths import processor_of

DEMO = EMBEDDED.parents[1] / "demo" / "02-euler.png"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, as transformers 5 saves it, with its graphs."""
    folder = tmp_path_factory.mktemp("saved")
    ProcessorMixin.save_pretrained(load_processor(EMBEDDED), folder)
    Qwen2_5_VLConfig.from_pretrained(EMBEDDED).save_pretrained(folder)
    for name in ("model.safetensors", "generation_config.json", "vision.onnx", "decoder.onnx"):
        shutil.copy(EMBEDDED / name, folder)
    assert not (folder / "preprocessor_config.json").exists()
    return folder


def card(base: object) -> str:
    """The head of a model card, as LLaMA-Factory 0.9.5 writes it."""
    return f"---\nlibrary_name: transformers\nlicense: other\nbase_model: {base}\n---\n\n# full\n"


def test_the_settings_of_pictures_are_found_in_either_file(saved: Path, tmp_path: Path) -> None:
    stock = image_settings(EMBEDDED)
    assert stock is not None
    assert image_settings(saved) == {
        name: value for name, value in stock.items() if name != "processor_class"
    }
    assert image_settings(tmp_path) is None
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "P"}))
    assert image_settings(tmp_path) is None
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(InputError, match="does not say patch_size"):
        image_settings(tmp_path)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_such_a_folder_reads_with_the_prompt_of_its_base(saved: Path, backend: BackendName) -> None:
    with pytest.warns(UserWarning, match=f"give --prompt {EMBEDDED}"):
        Reader(saved, backend=backend, device="cpu", prompt="plain")
    reader = Reader(saved, backend=backend, device="cpu", prompt=EMBEDDED)
    assert reader.frame == Reader(EMBEDDED, backend="onnx").frame
    assert reader.read(DEMO).latex == r"e^{i\pi} + 1 = 0"


def test_its_processor_counts_tokens_in_a_dry_run(saved: Path) -> None:
    processor, is_its_own = processor_of(str(saved), model_config(saved), None)  # type: ignore[arg-type]
    assert is_its_own
    assert processor.image_processor.patch_size == 8


def test_the_base_is_the_one_of_the_model_card(saved: Path, tmp_path: Path) -> None:
    def advice_for(readme: str | None, **changes: Any) -> str | None:
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        config = json.loads((saved / "config.json").read_text())
        config["text_config"] |= changes
        (folder / "config.json").write_text(json.dumps(config))
        if readme is not None:
            (folder / "README.md").write_text(readme)
        return missing_prompt_config(folder)

    base = tmp_path / "base"
    base.mkdir()
    shutil.copy(EMBEDDED / "texlens.json", base)
    assert f"--prompt {base}." in str(advice_for(card(base)))
    assert f"--prompt {EMBEDDED}." in str(advice_for(card("someone/model")))
    assert f"--prompt {EMBEDDED}." in str(advice_for("no card"))
    assert "from the folder of its base" in str(advice_for(None, vocab_size=2000))
    assert advice_for(None, vocab_size=151_936) is None  # a general model: no prompt is missing
    assert missing_prompt_config(EMBEDDED) is None
    assert is_small(EMBEDDED)
    assert not is_small(tmp_path)
