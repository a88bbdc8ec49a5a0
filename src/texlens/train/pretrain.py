"""Training a small Qwen2.5-VL from scratch on pictures of formulas.

Read from top to bottom: a run loads its pictures, makes batches of one canvas size, draws the
pictures anew on the device, and steps. It can be killed at any time and goes on from its last
checkpoint with the same numbers. The network that is saved is transformers' own class; the
auxiliary head of `pretrain_ctc` is dropped.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from texlens import runs
from texlens.errors import InputError, TexlensError
from texlens.model.shape import build_model
from texlens.model.tokenizer import IM_END, PAD, build_tokenizer
from texlens.model.vision_attention import batch_vision_attention
from texlens.train.config import PretrainConfig
from texlens.train.curves import append_log, read_log, write_curves
from texlens.train.pretrain_batches import Batch, Batches
from texlens.train.pretrain_ctc import CtcHead, ctc_loss, inked_classes
from texlens.train.pretrain_dev import empty_cache, read_dev
from texlens.train.pretrain_forward import (
    UniformForward,
    positions,
    prompt_of,
    to_patches,
    vision_rotary,
)
from texlens.train.pretrain_pictures import (
    Encoded,
    PicturePool,
    Shard,
    ShardFolder,
    draw,
    encode,
    read_parquet,
    read_shard,
)

MARKER = "run.json"  # written last: a folder that has it is finished
_SHARDS_TO_START = 1


def pretrain(config: PretrainConfig, out: Path, *, resume: bool = True) -> dict[str, Any]:
    """Train by a recipe and leave the model in `out/model`.

    `resume`: go on from `out/checkpoint.pt` where there is one. `out` also gets `log.jsonl`,
    `curves.csv`, `curves.png` and, last, `run.json`.

    Returns what `run.json` holds: steps, pictures, minutes, and the last scores on dev.
    Raises InputError when there are no pictures, TexlensError when the loss is no number.
    """
    run = PretrainRun(config, out)
    if resume and run.checkpoint.is_file():
        run.restore()
    return run.train()


@dataclass(slots=True)
class _Progress:
    """Where a run stands; saved with it."""

    step: int = 0
    pictures: int = 0
    minutes: float = 0.0


class PretrainRun:
    """One run: its data, network and optimiser, and the loop over steps."""

    def __init__(self, config: PretrainConfig, out: Path) -> None:
        self.config, self.out = config, out
        self.checkpoint = out / "checkpoint.pt"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        torch.set_float32_matmul_precision("high")
        self.progress = _Progress()
        out.mkdir(parents=True, exist_ok=True)

        self.tokenizer = self._tokenizer()
        from texlens.model.processor import build_processor

        self.processor = build_processor(config.shape, self.tokenizer, config.contract)
        self.network = build_model(config.shape, self.tokenizer).to(self.device)
        batch_vision_attention(self.network)
        self.forward = UniformForward(self.network, prompt_of(self.processor, config.contract))
        self.classes = inked_classes(self.tokenizer)
        self.ctc = CtcHead(config.shape.text_width, int(self.classes.max()) + 1).to(self.device)
        self.losses = self._loss_and_seen
        if config.compile and self.device.type == "cuda":
            self.losses = torch.compile(self._loss_and_seen, dynamic=True)
        self.optimizers = self._optimizers()
        self._load_pictures()
        self.eos = self.tokenizer.convert_tokens_to_ids(IM_END)
        self.pad = self.tokenizer.convert_tokens_to_ids(PAD)

    # ---- data -----------------------------------------------------------------------------------

    def _tokenizer(self) -> Any:
        """The run's tokeniser: made at its start from its formulas, then read from its folder."""
        from transformers import AutoTokenizer

        folder = self.out / "tokenizer"
        if (folder / "tokenizer.json").is_file():
            return AutoTokenizer.from_pretrained(folder)
        formulas: list[str] = []
        for source in self.config.data:
            if source.parquet is not None:
                import pyarrow.parquet as pq

                column = pq.read_table(source.parquet, columns=["latex_formula"])["latex_formula"]
                formulas += column.to_pylist()
            elif source.shards is not None:
                formulas += [
                    text
                    for path in self._first_shards(source.shards)
                    for text in read_shard(path).formulas
                ]
        contract = self.config.contract
        tokenizer = build_tokenizer(
            formulas,
            phrases=(contract.system, contract.instruction),
            size=self.config.vocabulary,
        )
        tokenizer.save_pretrained(folder)
        return tokenizer

    def _first_shards(self, folder: Path) -> list[Path]:
        """The shards there are; waits ten minutes for the first when the folder is being filled."""
        for _ in range(600):
            paths = sorted(folder.glob("*.npz"))
            if len(paths) >= _SHARDS_TO_START:
                return paths
            time.sleep(1)
        raise InputError(f"There is no shard of pictures (*.npz) in '{folder}'.")

    def _load_pictures(self) -> None:
        """Read the Parquet sources and the first shards of each folder, and the dev pictures."""
        config = self.config
        self.pool = PicturePool(self.device, config.pool_gib)
        assert config.contract.pixels_per_em is not None
        self.batches = Batches(
            shares=[source.share for source in config.data],
            pixels_per_em=config.contract.pixels_per_em,
            token_pixels=config.shape.token_pixels,
            patches_per_token=config.shape.merge**2,
            patches_per_batch=config.patches_per_batch,
            max_tokens=config.max_tokens,
            max_visual_tokens=config.contract.max_pixels // config.shape.token_pixels**2,
            seed=config.seed,
        )
        self.folders: dict[int, ShardFolder] = {}
        self.order: list[tuple[int, str]] = []  # (source, shard) in the order they were added
        for index, source in enumerate(config.data):
            if source.parquet is not None:
                self._add(encode(read_parquet(source), self.tokenizer), index)
            elif source.shards is not None:
                self.folders[index] = ShardFolder(source.shards, self.tokenizer)
        self.dev: list[tuple[str, Shard]] = []
        for source in config.dev:
            if source.parquet is not None:
                self.dev.append((source.parquet.stem, read_parquet(source)))
            elif source.shards is not None:
                shard = read_shard(self._first_shards(source.shards)[0])
                self.dev.append((source.shards.name, shard.part(*(source.rows or (0, None)))))

    def _add(self, encoded: Encoded, source: int) -> bool:
        if not self.pool.add(encoded.shard):
            return False
        self.batches.add(encoded, source)
        return True

    def _take_present_shards(self) -> None:
        """Add all shards that are there when the run starts, waiting for the first of each folder."""
        for index, folder in list(self.folders.items()):
            for _ in range(len(self._first_shards(folder.folder)) - len(folder.taken)):
                encoded = folder.poll(wait=True)
                if encoded is None or not self._take(encoded, index):
                    break

    def _take_new_shards(self) -> None:
        """Add the shards that have been read in the background since the last call."""
        for index, folder in list(self.folders.items()):
            while (encoded := folder.poll()) is not None:
                if not self._take(encoded, index):
                    break

    def _take(self, encoded: Encoded, index: int) -> bool:
        if not self._add(encoded, index):
            print(f"The picture pool is full: {len(self.batches)} pictures.", flush=True)
            del self.folders[index]
            return False
        self.order.append((index, self.folders[index].taken[-1]))
        return True

    # ---- one step -------------------------------------------------------------------------------

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the matrices within the network, AdamW for all else.

        Muon (Jordan 2024) reached in 100 steps what took AdamW 260: with it the network begins to
        look at the picture sooner. Its updates are scaled to AdamW's, so that one rate serves both.
        """
        rate, decay = self.config.learning_rate, self.config.weight_decay
        named = dict(self.network.named_parameters())
        matrices = [p for name, p in named.items() if p.ndim == 2 and "embed_tokens" not in name]
        within = {id(p) for p in matrices}
        rest = [p for p in [*named.values(), *self.ctc.parameters()] if id(p) not in within]
        fused = self.device.type == "cuda"
        return [
            torch.optim.Muon(
                matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=rate, weight_decay=0.0, betas=(0.9, 0.98), fused=fused),
        ]

    def _part_done(self) -> float:
        """How much of the run's budget is used, 0..1."""
        if self.config.steps is not None:
            return min(self.progress.step / self.config.steps, 1.0)
        assert self.config.minutes is not None
        return min(self.progress.minutes / self.config.minutes, 1.0)

    def _learning_rate(self, done: float) -> float:
        """Linear warm-up, then a cosine down to 1 % of the peak."""
        warm = min((self.progress.step + 1) / self.config.warmup_steps, 1.0)
        return self.config.learning_rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    def _longest(self, done: float) -> int:
        """The longest formula drawn now, in tokens, in steps of 8 so that groups are kept."""
        config = self.config
        part = done / config.growing if config.growing else 1.0
        if part >= 1:
            return config.max_tokens
        longest = config.first_tokens * (config.max_tokens / config.first_tokens) ** part
        return int(longest) // 8 * 8 + 8

    def _loss_and_seen(
        self,
        patches: Tensor,
        rotary: tuple[Tensor, Tensor],
        position: Tensor,
        tokens: Tensor,
        labels: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Mean loss a token of the answers, and the visual tokens."""
        with torch.autocast(self.device.type, torch.bfloat16):
            seen = self.forward.see(patches, *rotary)
            logits = self.forward.write(seen, tokens, position)
        loss = functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100
        )
        return loss, seen

    def _answers(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs and labels of the language model, targets and lengths of the CTC head."""
        random = self.batches.random
        real = batch.tokens >= 0
        tokens = np.where(real, batch.tokens, self.pad)
        labels = np.full((tokens.shape[0], tokens.shape[1] + 1), -100, dtype=np.int64)
        labels[:, :-1] = np.where(real, batch.tokens, -100)
        lengths = real.sum(axis=1)
        labels[np.arange(len(labels)), lengths] = self.eos
        wrong = real & (random.random(tokens.shape) < self.config.wrong_tokens)
        inputs = np.where(wrong, random.integers(0, self.eos, tokens.shape), tokens)
        named = np.where(real, self.classes[tokens], 0)
        targets = named[named > 0]
        counts = (named > 0).sum(axis=1)
        sent = self._send(inputs), self._send(labels), self._send(targets)
        return *sent, torch.from_numpy(counts)

    def _send(self, array: NDArray[np.int64]) -> Tensor:
        """An array on the training device, without waiting for the device."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def step(self, batch: Batch, done: float) -> tuple[Tensor, Tensor]:
        """One optimiser step; the language model's and the CTC head's loss, still on the device."""
        config, shape = self.config, self.config.shape
        inputs, labels, targets, counts = self._answers(batch)
        assert config.contract.pixels_per_em is not None
        with torch.no_grad():
            pixels = draw(
                self.pool,
                self._send(batch.chosen),
                batch.rows * shape.token_pixels,
                batch.columns * shape.token_pixels,
                config.contract.pixels_per_em,
                config.augmentation,
            )
            patches = to_patches(pixels, shape.patch, shape.merge)
        head = shape.vision_width // shape.vision_heads
        rotary = vision_rotary(batch.rows, batch.columns, shape.merge, head, self.device)
        prompt = self.forward.prompt
        position = positions(prompt, batch.rows, batch.columns, inputs.shape[1], self.device)
        language, seen = self.losses(patches, rotary, position, inputs, labels)
        total, naming = language, torch.zeros((), device=self.device)
        weight = (
            config.ctc_weight * max(0.0, 1 - done / config.ctc_until) if config.ctc_until else 0
        )
        if weight > 0:
            with torch.autocast(self.device.type, torch.bfloat16):
                names = self.ctc(seen, batch.rows, batch.columns)
            naming = ctc_loss(names, targets, counts)
            total = total + weight * naming
        total.backward()
        nn.utils.clip_grad_norm_(
            [*self.network.parameters(), *self.ctc.parameters()], config.gradient_norm
        )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate(done)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return language.detach(), naming.detach()

    # ---- the run --------------------------------------------------------------------------------

    def train(self) -> dict[str, Any]:
        """Step until the budget is used up; see `pretrain`."""
        config, progress = self.config, self.progress
        self._take_present_shards()
        if not len(self.batches):
            raise InputError("The recipe's data hold no picture.")
        self.network.train()
        log_path = self.out / "log.jsonl"
        began = time.monotonic() - 60 * progress.minutes
        last_dev = last_save = progress.minutes
        window: list[tuple[Tensor, Tensor]] = []
        window_from = time.monotonic(), progress.pictures
        scores: dict[str, Any] = {}
        while (done := self._part_done()) < 1:
            batch = self.batches.next(self._longest(done))
            window.append(self.step(batch, done))
            progress.step += 1
            progress.pictures += len(batch.chosen)
            progress.minutes = (time.monotonic() - began) / 60
            if progress.step % config.log_every == 0:
                language, naming = (
                    float(torch.stack(part).float().mean()) for part in zip(*window, strict=True)
                )
                if not math.isfinite(language):
                    raise TexlensError(
                        f"The loss is no number at step {progress.step}: lower learning_rate."
                    )
                now = time.monotonic()
                rate = (progress.pictures - window_from[1]) / (now - window_from[0])
                record = {
                    "step": progress.step,
                    "minutes": round(progress.minutes, 3),
                    "pictures": progress.pictures,
                    "loss": round(language, 5),
                    "ctc_loss": round(naming, 5),
                    "learning_rate": round(self._learning_rate(done), 7),
                    "longest": self._longest(done),
                    "pictures_per_second": round(rate, 1),
                    "in_pool": len(self.batches),
                }
                append_log(log_path, record)
                print(record, flush=True)
                self._take_new_shards()
                window, window_from = [], (time.monotonic(), progress.pictures)
            if progress.minutes - last_dev >= config.dev_minutes:
                scores = self.read_dev(log_path)
                last_dev = progress.minutes = (time.monotonic() - began) / 60
                window_from = time.monotonic(), progress.pictures
            if progress.minutes - last_save >= config.checkpoint_minutes:
                self.save()
                last_save = progress.minutes
        scores = self.read_dev(log_path)
        self.save()
        write_curves(read_log(log_path), self.out)
        summary = {
            **asdict(progress),
            "in_pool": len(self.batches),
            "left_out": self.batches.left_out,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "dev": scores,
            "config": config.model_dump(mode="json"),
            "versions": runs.provenance("torch", "transformers"),
        }
        runs.write_json(self.out / MARKER, summary)
        return summary

    def read_dev(self, log_path: Path) -> dict[str, Any]:
        """Read the dev pictures and log the scores."""
        scores: dict[str, Any] = {}
        record: dict[str, Any] = {
            "step": self.progress.step,
            "minutes": round(self.progress.minutes, 3),
        }
        with torch.autocast(self.device.type, torch.bfloat16):
            for name, shard in self.dev:
                score, readings = read_dev(
                    self.network,
                    self.processor,
                    self.config.contract,
                    shard,
                    token_pixels=self.config.shape.token_pixels,
                    pictures_per_batch=256 if self.device.type == "cuda" else 16,
                )
                scores[name] = asdict(score)
                record |= {f"{name}_{key}": round(value, 4) for key, value in asdict(score).items()}
                runs.write_json_lines(
                    self.out / f"dev_{name}.jsonl",
                    (
                        {"id": str(i), "gt": truth, "pred": reading}
                        for i, (truth, reading) in enumerate(
                            zip(shard.formulas, readings, strict=True)
                        )
                    ),
                )
        empty_cache(self.device)
        if scores:
            append_log(log_path, record)
            print(record, flush=True)
            write_curves(read_log(log_path), self.out)
        return scores

    # ---- stopping and going on ------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint to go on from, and the model to read with."""
        state = {
            "progress": asdict(self.progress),
            "network": self.network.state_dict(),
            "ctc": self.ctc.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "order": self.order,
            "grouped": self.batches.grouped,
            "longest": self._longest(self._part_done()),
            "batches_random": self.batches.random.bit_generator.state,
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }
        with runs.atomic_write(self.checkpoint) as stream:
            torch.save(state, stream)
        folder = self.out / "model"
        half = {
            name: value.detach().half().cpu().contiguous()
            for name, value in self.network.state_dict().items()
            if name != "lm_head.weight"  # tied to the embedding
        }
        self.network.config.dtype = torch.float16
        self.network.save_pretrained(folder, state_dict=half)
        self.network.config.dtype = torch.float32
        self.processor.save_pretrained(folder)
        self.config.contract.save(folder)

    def restore(self) -> None:
        """Go on exactly where the checkpoint was written: the same shards, numbers and chances."""
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.progress = _Progress(**state["progress"])
        self.network.load_state_dict(state["network"])
        self.ctc.load_state_dict(state["ctc"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for index, name in state["order"]:
            folder = self.folders[index]
            self._add(folder.read(name), index)
            folder.taken.append(name)
            self.order.append((index, name))
        self.batches.regroup(state["longest"], state["grouped"])
        self.batches.random.bit_generator.state = state["batches_random"]
        torch.set_rng_state(state["torch_random"].cpu())
        if state["cuda_random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_random"].cpu())
        log_path = self.out / "log.jsonl"
        runs.write_json_lines(log_path, read_log(log_path, up_to_step=self.progress.step))
