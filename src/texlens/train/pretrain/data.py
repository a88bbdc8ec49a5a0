"""All pictures of a training run: read, pooled on the device, and in order for a resumed run."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from texlens.data.pictures.shards import read_shard
from texlens.errors import InputError
from texlens.latex import normalize
from texlens.model.tokenizer import build_tokenizer
from texlens.records import Example
from texlens.train.data.examples import rows_of
from texlens.train.pretrain.augmentation import (
    Encoded,
    FormulaEncoder,
    PicturePool,
    ShardFolder,
    read_parquet,
)
from texlens.train.pretrain.batches import Batches
from texlens.train.pretrain.settings import PictureSource, PretrainConfig
from texlens.train.run.processes import (
    is_main_process,
    process_count,
    process_number,
    wait_for_all,
)

_WAIT_SECONDS = 600.0  # for the first shard of a folder that is being filled


class TrainingPictures:
    """The sources of a recipe as one pool on the device, and the batches over it.

    On several processes each has a part of the shards, and all pictures of a Parquet file. Shards
    are added as they appear; `order` says which, for a resumed run to add the same first.
    """

    def __init__(self, config: PretrainConfig, out: Path, device: torch.device) -> None:
        self.config, self.out = config, out
        if is_main_process():
            self.tokenizer = self._tokenizer()
        wait_for_all()
        if not is_main_process():
            self.tokenizer = self._tokenizer()
        self.encoder = FormulaEncoder(self.tokenizer)
        self.pool = PicturePool(device, config.pool_gib)
        assert config.prompt_config.pixels_per_em is not None  # the config checks it
        self.batches = Batches(
            shares=[source.mixing_ratio for source in config.data],
            pixels_per_em=config.prompt_config.pixels_per_em,
            token_pixels=config.shape.token_pixels,
            patches_per_token=config.shape.merge**2,
            patches_per_batch=config.patches_per_batch,
            max_tokens=config.max_tokens,
            max_visual_tokens=config.prompt_config.max_pixels // config.shape.token_pixels**2,
            seed=config.seed + process_number(),
            hard_examples=config.hard_examples,
        )
        self.folders: dict[int, ShardFolder] = {}
        self.order: list[tuple[int, str]] = []  # (source, shard) in the order they were added
        for index, source in enumerate(config.data):
            if source.parquet is not None:
                if not self._add(self.encoder.encode(*read_parquet(source)), index):
                    raise InputError(f"pool_gib is too small for '{source.parquet}'.")
            else:
                self.folders[index] = ShardFolder(source.path, self.encoder)

    def take_present_shards(self) -> None:
        """Add all shards there are when the run starts.

        Waits for the first shard of each folder, on several processes for as many.

        Raises InputError when a folder stays empty, and whatever stopped its rendering.
        """
        for index, folder in list(self.folders.items()):
            _present_shards(folder.folder, at_least=process_count())
            for _ in range(len(folder.fresh())):
                encoded = folder.poll(wait=True)
                if encoded is None or not self._take(encoded, index):
                    break
        if not len(self.batches):
            raise InputError("The recipe's data hold no picture.")

    def take_new_shards(self) -> None:
        """Add the shards that have been read in the background since the last call."""
        for index, folder in list(self.folders.items()):
            while (encoded := folder.poll()) is not None:
                if not self._take(encoded, index):
                    break

    def restore(self, order: list[tuple[int, str]]) -> None:
        """Add the shards that a run had added, in its order."""
        for index, name in order:
            folder = self.folders[index]
            self._add(folder.read(name), index)
            folder.taken.append(name)
            self.order.append((index, name))

    def _add(self, encoded: Encoded, source: int) -> bool:
        if not self.pool.add(encoded.shard):
            return False
        self.batches.add(encoded, source)
        return True

    def _take(self, encoded: Encoded, index: int) -> bool:
        if not self._add(encoded, index):
            print(f"The picture pool is full: {len(self.batches)} pictures.", flush=True)
            del self.folders[index]
            return False
        self.order.append((index, self.folders[index].taken[-1]))
        return True

    def _tokenizer(self) -> Any:
        """The run's tokeniser: that of the model it starts from, or made from its formulas once."""
        from transformers import AutoTokenizer

        folder = self.config.start or self.out / "tokenizer"
        if (folder / "tokenizer.json").is_file():
            return AutoTokenizer.from_pretrained(folder)
        formulas: list[str] = []
        for source in self.config.data:
            if source.parquet is not None:
                examples = rows_of(source.parquet, source.rows)
                formulas += [normalize(example.latex_formula) for example in examples]
            else:
                for path in _present_shards(source.path):
                    formulas += read_shard(path).formulas
        prompt_config = self.config.prompt_config
        tokenizer = build_tokenizer(
            formulas,
            phrases=(prompt_config.system, prompt_config.instruction),
            size=self.config.vocabulary,
        )
        tokenizer.save_pretrained(folder)
        return tokenizer


def dev_pictures(source: PictureSource) -> list[Example]:
    """The pictures of a dev set: rows of a Parquet file, or of the first shard of a folder."""
    if source.parquet is not None:
        return list(rows_of(source.parquet, source.rows))
    shard = read_shard(_present_shards(source.path)[0])
    return list(islice(shard.examples(), *(source.rows or (0, None))))


def _present_shards(folder: Path, at_least: int = 1) -> list[Path]:
    """The shards of a folder; waits for as many as `at_least` when the folder is being filled.

    Raises InputError when there is no such folder, or the shards do not come.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder '{folder}' with shards of pictures: `texlens data render` makes one."
        )
    for _ in range(int(_WAIT_SECONDS / 0.2)):
        paths = sorted(folder.glob("*.npz"))
        if len(paths) >= at_least:
            return paths
        time.sleep(0.2)
    if paths:
        raise InputError(
            f"'{folder}' has {len(paths)} shards for {at_least} processes, and each needs one: "
            "render it with a smaller --per-shard."
        )
    raise InputError(f"There is no shard of pictures (*.npz) in '{folder}'.")
