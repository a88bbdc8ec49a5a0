"""Visual tokens from the file are those of the network, in a batch and in the loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from texlens.errors import InputError
from texlens.train.data import vision_features as module
from texlens.train.data.prepared import FineTuningData, prepare_examples
from texlens.train.data.vision_features import VisionFeatures, vision_features
from texlens.train.network.adapters import load_for_training
from texlens.train.run.curves import read_log
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft

Tuning = Callable[..., SftConfig]


@pytest.fixture
def frozen(tuning: Tuning, pictures: Path) -> Callable[..., SftConfig]:
    def build(**settings: Any) -> SftConfig:
        data = [{"parquet": str(pictures), "rows": [0, 24]}]
        return tuning(trainable_modules=["language_model"], data=data, **settings)

    return build


def prepared(config: SftConfig) -> tuple[Any, FineTuningData]:
    loaded = load_for_training(config)
    return loaded, prepare_examples(config.data, loaded, max_length=config.max_length, quiet=True)


def test_features_are_the_towers_output_whatever_the_order(frozen: Tuning) -> None:
    loaded, data = prepared(frozen())
    features = vision_features(loaded, data, quiet=True)
    base = loaded.model.get_base_model()
    for place in (0, 11, len(data.table) - 1):
        row = data.table[place]
        seen = loaded.processor.image_processor(
            images=[module.open_picture(row["picture"])],
            size={"shortest_edge": 256, "longest_edge": loaded.prompt_config.max_pixels},
            return_tensors="pt",
        )
        with torch.no_grad():
            output = base.model.get_image_features(seen["pixel_values"], seen["image_grid_thw"])
        expected = torch.cat(list(output.pooler_output))
        assert len(expected) == row["rows"] * row["columns"]
        torch.testing.assert_close(features[place], expected, rtol=1e-4, atol=1e-5)


def test_features_are_computed_once_and_again_for_other_weights(
    frozen: Tuning, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, data = prepared(frozen())
    first = vision_features(loaded, data, quiet=True)
    monkeypatch.setattr(module, "_write", None)  # calling it would raise
    assert vision_features(loaded, data, quiet=True).path == first.path
    loaded.model.get_base_model().model.visual.blocks[0].norm1.weight.data += 0.5
    with pytest.raises(TypeError):
        vision_features(loaded, data, quiet=True)


def test_a_full_disk_is_one_sentence(frozen: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, data = prepared(frozen(seed=5, max_length=4000))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match=r"take 0\.0 GiB, more than .* cache_vision_features"):
        vision_features(loaded, data, quiet=True)


def test_a_run_on_features_learns_the_same(frozen: Tuning, tmp_path: Path) -> None:
    losses = []
    for cached in (False, True):
        out = tmp_path / str(cached)
        train_sft(frozen(cache_vision_features=cached, logging_steps=1), out)
        losses.append([line["loss"] for line in read_log(out / "log.jsonl") if "loss" in line])
    assert len(losses[0]) == 8
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_features_need_a_frozen_tower(tuning: Tuning) -> None:
    with pytest.raises(ValidationError, match="must be frozen"):
        tuning(cache_vision_features=True)


def test_a_place_has_its_own_bytes(tmp_path: Path) -> None:
    values = torch.arange(24, dtype=torch.bfloat16).view(6, 4)
    (tmp_path / "features.bin").write_bytes(values.view(torch.uint8).numpy().tobytes())
    features = VisionFeatures(tmp_path / "features.bin", np.array([0, 2, 5, 6]), 4, "bfloat16")
    assert torch.equal(features[1], values[2:5])
    assert torch.equal(features[2], values[5:])
