"""A tiny run: real pictures, rendered here, and a model of a few ten thousand weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from texlens.data.printed import FormulaSource, Plan, write_shards
from texlens.train.config_pretrain import PretrainConfig


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three shards of 40 rendered formulas each."""
    folder = tmp_path_factory.mktemp("shards")
    plan = Plan((FormulaSource("grammar"),), folder, pictures_per_shard=40, max_tokens=60)
    for _ in write_shards(plan, 3):
        pass
    return folder


@pytest.fixture(scope="session")
def tiny(shards: Path) -> Callable[..., PretrainConfig]:
    """A tiny configuration, with settings of one's own."""

    def build(**settings: Any) -> PretrainConfig:
        document: dict[str, Any] = {
            "shape": {
                "vision_width": 32, "vision_layers": 2, "vision_heads": 2, "vision_mlp": 48,
                "text_width": 32, "text_layers": 2, "text_heads": 2, "text_key_value_heads": 1,
                "text_mlp": 48,
            },
            "contract": {"pixels_per_em": 13.84, "min_pixels": 256, "max_new_tokens": 12},
            "data": [{"shards": str(shards)}],
            "steps": 8, "patches_per_batch": 2048, "warmup_steps": 4, "log_every": 2,
            "pool_gib": 0.05, "checkpoint_minutes": 60, "max_tokens": 100,
        }  # fmt: skip
        return PretrainConfig.model_validate(document | settings)

    return build
