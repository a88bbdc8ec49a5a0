"""Tiny runs: real pictures, rendered here, and models of a few ten thousand weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from texlens.data.formulas.sources import FormulaSource
from texlens.data.parquet import write_examples
from texlens.data.pictures.printed import PrintedShards
from texlens.data.pictures.shards import read_shard, write_shards
from texlens.reading import Reader
from texlens.reading.decoding.greedy import Decoder
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.sft.settings import SftConfig

Spied = tuple[dict[str, Tensor], tuple[int, ...]]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared examples of tests do not fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXLENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three shards of 40 rendered formulas each."""
    folder = tmp_path_factory.mktemp("shards")
    source = PrintedShards((FormulaSource("grammar"),), pictures_per_shard=40, max_tokens=60)
    for _ in write_shards(source, folder, 3):
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
            "prompt_config": {"pixels_per_em": 13.84, "min_pixels": 256, "max_new_tokens": 12},
            "data": [{"shards": str(shards)}],
            "max_steps": 8, "patches_per_batch": 2048, "warmup_steps": 4, "logging_steps": 2,
            "pool_gib": 0.05, "checkpoint_minutes": 60, "max_tokens": 100,
        }  # fmt: skip
        return PretrainConfig.model_validate(document | settings)

    return build


@pytest.fixture(scope="session")
def pictures(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of 60 rendered formulas."""
    path = tmp_path_factory.mktemp("pictures") / "train.parquet"
    parts = [list(read_shard(name).examples())[:30] for name in sorted(shards.glob("*.npz"))[:2]]
    examples = enumerate(itertools.chain(*parts))
    write_examples(path, (replace(example, id=str(number)) for number, example in examples))
    return path


@pytest.fixture(scope="session")
def tuning(model_folder: Path, pictures: Path) -> Callable[..., SftConfig]:
    """A tiny fine-tuning recipe on a tiny model, with settings of one's own."""

    def build(**settings: Any) -> SftConfig:
        document: dict[str, Any] = {
            "model": str(model_folder),
            "trainable_modules": ["language_model", "vision", "merger"],
            "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
            "data": [
                {"parquet": str(pictures), "rows": [0, 20]},
                {"parquet": str(pictures), "rows": [20, 30], "mixing_ratio": 0.2},
            ],
            "max_steps": 8, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-2, "device": "cpu",
            "logging_steps": 2, "save_steps": 3, "eval_steps": 4, "dataloader_num_workers": 0, "report_to": [],
        }  # fmt: skip
        return SftConfig.model_validate(document | settings)

    return build


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reader, bytes], Spied]:
    """What a reader hands its network for a picture, and the tokens that come back."""
    seen: list[Spied] = []
    honest = Decoder.decode

    def decode(decoder: Decoder, inputs: dict[str, Tensor], *rest: Any) -> Any:
        answers = honest(decoder, inputs, *rest)
        seen.append((dict(inputs), answers[0].tokens))
        return answers

    monkeypatch.setattr(Decoder, "decode", decode)

    def read(reader: Reader, picture: bytes) -> Spied:
        seen.clear()
        reader.read(picture)
        return seen[0]

    return read
