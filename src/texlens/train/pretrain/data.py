"""All pictures of a training run: read, pooled on the device, and in order for a resumed run.

Threads unpack shards and tokenise their formulas: both leave Python's lock to others, and nothing is
copied between processes. What does not, the decoding of Parquet pictures and the counting of tokens, is
done by worker processes.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from texlens.data.pictures.shards import read_shard, shard_number
from texlens.errors import InputError
from texlens.model.tokenizer import build_tokenizer
from texlens.records import Example
from texlens.train.data.examples import count_rows, rows_of
from texlens.train.pretrain.augmentation import PicturePool
from texlens.train.pretrain.batches import Batches
from texlens.train.pretrain.encoding import (
    Encoded,
    FormulaEncoder,
    raw_counter,
    shard_counter,
)
from texlens.train.pretrain.parquet import CHUNK, chunked, read_parquet
from texlens.train.pretrain.settings import PictureSource, PretrainConfig
from texlens.train.run.processes import (
    is_main_process,
    my_cpus,
    process_count,
    process_number,
    wait_for_all,
)
from texlens.workers import in_threads, map_in_workers, usable_cpus

_WAIT_SECONDS = 600.0  # for the first shard of a folder that is being filled
_LOOK_SECONDS = 1.0  # between two looks for new shards
_READ_AHEAD = 8  # shards, while training
_ROWS_A_WORKER = 1000  # fewer are decoded sooner than a process starts


class ReadShard(NamedTuple):
    """A shard that has been read: the number of its source, its file's name, and its content."""

    source: int
    name: str
    encoded: Encoded


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
        self.folders: dict[int, Path] = {}  # those that still get new shards
        self.order: list[tuple[int, str]] = []  # (source, shard) in the order they were added
        self._threads = ThreadPoolExecutor(_READ_AHEAD)
        self._coming: deque[Future[ReadShard]] = deque()
        self._next_look = 0.0
        for index, source in enumerate(config.data):
            if source.parquet is not None:
                pictures = read_parquet(source, workers=_workers(source, my_cpus()))
                encoded = self.encoder.encode(*pictures)
                if not self._add(encoded, index):
                    raise InputError(f"pool_gib is too small for '{source.parquet}'.")
            else:
                self.folders[index] = source.path

    def take_present_shards(self) -> None:
        """Add all shards there are when the run starts.

        Waits for the first shard of each folder, on several processes for as many.

        Raises InputError when a folder stays empty, and whatever stopped its rendering.
        """
        for folder in self.folders.values():
            _present_shards(folder, at_least=process_count())
        for shard in self._read_all(self._fresh()):
            self._take(shard)
        if not len(self.batches):
            raise InputError("The recipe's data hold no picture.")

    def take_new_shards(self) -> None:
        """Add the shards that have been read in the background since the last call."""
        if not self._coming and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            for source, name in islice(self._fresh(), _READ_AHEAD):
                self._coming.append(self._threads.submit(self._read, source, name))
        while self._coming and self._coming[0].done():
            self._take(self._coming.popleft().result())

    def restore(self, order: list[tuple[int, str]]) -> None:
        """Add the shards that a run had added, in its order."""
        for shard in self._read_all(order):
            self._add(shard.encoded, shard.source)
            self.order.append((shard.source, shard.name))

    def _fresh(self) -> Iterator[tuple[int, str]]:
        """This process's part of the shards that have not been added, in the order of their numbers.

        Lazily, so that the shards of a folder that does not fit any more are not even read.
        """
        known = set(self.order)
        for index, folder in list(self.folders.items()):
            for path in sorted(folder.glob("*.npz")):
                is_mine = shard_number(path.name) % process_count() == process_number()
                if is_mine and (index, path.name) not in known and index in self.folders:
                    yield index, path.name

    def _read_all(self, shards: Iterable[tuple[int, str]]) -> Iterator[ReadShard]:
        """Read shards on all processors of this process, and give them in order."""
        return in_threads(lambda shard: self._read(*shard), shards, my_cpus())

    def _read(self, source: int, name: str) -> ReadShard:
        shard = read_shard(self.config.data[source].path / name)
        return ReadShard(source, name, self.encoder.encode(shard))

    def _add(self, encoded: Encoded, source: int) -> bool:
        if not self.pool.add(encoded.shard):
            return False
        self.batches.add(encoded, source)
        return True

    def _take(self, shard: ReadShard) -> None:
        """Add a shard that has been read; when it does not fit, its folder is left."""
        if shard.source not in self.folders:
            return
        if self._add(shard.encoded, shard.source):
            self.order.append((shard.source, shard.name))
        else:
            print(f"The picture pool is full: {len(self.batches)} pictures.", flush=True)
            del self.folders[shard.source]

    def _tokenizer(self) -> Any:
        """The run's tokeniser: that of the model it starts from, or made from its formulas once."""
        from transformers import AutoTokenizer

        folder = self.config.start or self.out / "tokenizer"
        if (folder / "tokenizer.json").is_file():
            return AutoTokenizer.from_pretrained(folder)
        counts: Counter[str] = Counter()
        cpus = usable_cpus()  # the other processes of the run wait for this one
        for source in self.config.data:
            if source.parquet is not None:
                rows = rows_of(source.parquet, source.rows)
                raw = chunked((example.latex_formula for example in rows), CHUNK)
                counted = map_in_workers(raw_counter, raw, _workers(source, cpus))
            else:
                paths = _present_shards(source.path)
                counted = map_in_workers(shard_counter, paths, min(cpus, 1 + len(paths) // 100))
            for part in counted:
                counts.update(part)
        prompt_config = self.config.prompt_config
        tokenizer = build_tokenizer(
            counts,
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


def _workers(source: PictureSource, most: int) -> int:
    """How many processes are worth their start for the pictures of a Parquet file."""
    assert source.parquet is not None
    return min(most, 1 + count_rows(source.parquet, source.rows) // _ROWS_A_WORKER)


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
