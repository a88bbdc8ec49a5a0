"""The conversation for other software: the model's own prompt, and a framed picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import texlens
from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.model.prompt_config import load_prompt_config
from texlens.reading import Reader
from texlens.reading.pictures.framing import open_framed

DEMO = EMBEDDED.parents[1] / "demo" / "02-euler.png"


def picture_in(messages: list[dict[str, object]]) -> Image.Image:
    content = messages[1]["content"]
    assert isinstance(content, list)
    picture = content[0]["image"]
    assert isinstance(picture, Image.Image)
    return picture


def test_the_picture_is_framed_and_the_prompt_is_the_models_own() -> None:
    framed = open_framed(DEMO, Reader(backend="onnx").frame)
    prompt_config = load_prompt_config(EMBEDDED)
    assert prompt_config is not None
    for source in (DEMO, str(DEMO), DEMO.read_bytes(), Image.open(DEMO)):
        messages = texlens.chat_messages(source)
        picture = picture_in(messages)
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(framed))
        assert messages == prompt_config.messages(picture)


def test_what_cannot_be_asked_for_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shows nothing"):
        texlens.chat_messages(Image.new("RGB", (40, 40), "white"))
    with pytest.raises(InputError, match=r"has no texlens\.json"):
        texlens.chat_messages(DEMO, tmp_path)
    with pytest.raises(InputError):
        texlens.chat_messages(tmp_path / "absent.png")


def test_a_general_model_gets_the_picture_as_it_is(tmp_path: Path) -> None:
    shutil.copy(EMBEDDED / "texlens.json", tmp_path)
    config = load_prompt_config(tmp_path)
    assert config is not None
    config.model_copy(update={"pixels_per_em": None}).save(tmp_path)
    with Image.open(DEMO) as original:
        assert picture_in(texlens.chat_messages(DEMO, tmp_path)).size == original.size
