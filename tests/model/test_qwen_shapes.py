"""The shapes are those of the weights that Qwen released, to the parameter, and cost no memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from texlens.errors import InputError
from texlens.model.load import EMBEDDED
from texlens.model.qwen_shapes import RELEASED, build_on_meta, model_config

# The totals that the files of the released weights state.
TOTALS = {
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
}


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_parameters_equal_the_total_of_the_released_weights(name: str) -> None:
    network = build_on_meta(name)
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == TOTALS[name]
    assert all(parameter.is_meta for parameter in parameters)


def test_special_tokens_lie_in_the_vocabulary() -> None:
    for name in RELEASED:
        config = model_config(name)
        ids = {config.image_token_id, config.video_token_id, config.text_config.eos_token_id}
        assert ids == {151655, 151656, 151645}
        assert max(ids) < config.text_config.vocab_size


def test_a_folder_gives_its_own_shape() -> None:
    network = build_on_meta(EMBEDDED, "float32")
    assert network.config.text_config.hidden_size == 320
    assert network.lm_head.weight is network.model.language_model.embed_tokens.weight


def test_what_has_no_known_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Qwen2\.5-VL-7B-Instruct or a folder"):
        model_config("Qwen/Qwen2.5-VL-72B-Instruct")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(InputError, match=r"'llama', not a Qwen2\.5-VL"):
        model_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        model_config(tmp_path)
