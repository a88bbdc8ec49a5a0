"""Processor and prompt_config: what is saved is what is loaded, here and by the stock classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from texlens.errors import InputError
from texlens.model.load import load_model
from texlens.model.processor import load_processor
from texlens.model.prompt_config import PROMPT_CONFIG_FILE, PromptConfig, load_prompt_config


def picture(width: int = 96, height: int = 32) -> Image.Image:
    grey = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    return Image.fromarray(grey).convert("RGB")


def test_white_paper_is_zero_and_ink_is_minus_two(model_folder: Path) -> None:
    processor = load_processor(model_folder)
    for level, value in ((255, 0.0), (0, -2.0)):
        page = Image.new("RGB", (64, 32), (level,) * 3)
        pixels = processor.image_processor(page, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(pixels, torch.full_like(pixels, value))


def test_saved_and_loaded_again_gives_the_same_tensors(model_folder: Path, tmp_path: Path) -> None:
    processor = load_processor(model_folder)
    processor.save_pretrained(tmp_path)
    again = load_processor(tmp_path)
    text = processor.apply_chat_template(PromptConfig().messages(), add_generation_prompt=True)
    batches = [
        one(text=[text] * 2, images=[picture(), picture(48, 48)], padding=True, return_tensors="pt")
        for one in (processor, again)
    ]
    assert batches[0].keys() == batches[1].keys()
    for name, tensor in batches[0].items():
        assert torch.equal(tensor, batches[1][name]), name


def test_the_folder_names_the_stock_classes(model_folder: Path) -> None:
    for name in ("preprocessor_config.json", "tokenizer_config.json", "processor_config.json"):
        written = json.loads((model_folder / name).read_text())
        assert written["processor_class"] == "Qwen2_5_VLProcessor", name
    pictures = json.loads((model_folder / "preprocessor_config.json").read_text())
    assert pictures["image_processor_type"] == "Qwen2VLImageProcessor"


def test_the_stock_model_class_loads_the_folder_with_tied_embeddings(model_folder: Path) -> None:
    from transformers import AutoModelForImageTextToText

    stock = AutoModelForImageTextToText.from_pretrained(model_folder)
    ours = load_model(model_folder, device="cpu").model
    assert type(stock).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert torch.equal(stock.lm_head.weight, stock.get_input_embeddings().weight)
    for name, weight in stock.state_dict().items():
        assert torch.equal(weight, ours.state_dict()[name]), name


def test_prompt_config_round_trip(tmp_path: Path) -> None:
    prompt_config = PromptConfig(
        system="Sei höflich.", pixels_per_em=22.1, answer_format="think_answer"
    )
    prompt_config.save(tmp_path)
    assert load_prompt_config(tmp_path) == prompt_config
    assert load_prompt_config(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "Invalid JSON"),
        (b'{"instruktion": "x"}', "instruktion"),
        (b'{"max_pixels": "many"}', "max_pixels"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_damaged_prompt_config_is_one_sentence(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / PROMPT_CONFIG_FILE).write_bytes(content)
    with pytest.raises(InputError, match=complaint) as raised:
        load_prompt_config(tmp_path)
    assert str(tmp_path) in str(raised.value)
