"""Training a small Qwen2.5-VL from scratch on pictures of formulas.

Read from top to bottom: a run loads its pictures, makes batches of one canvas size, augments the
pictures on the device, and steps. Under `torchrun` it does so on several GPUs (`replicas`). It can be
killed at any time and resumes from its last checkpoint with the same numbers. The network that is
saved is transformers' own class; the auxiliary head of `ctc_head` is dropped.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from texlens import runs
from texlens.errors import InputError, TexlensError
from texlens.model.load import Loaded
from texlens.model.processor import build_processor
from texlens.model.prompt import prompt_of
from texlens.model.shape import build_model
from texlens.model.tokenizer import IM_END, PAD
from texlens.model.vision_attention import batch_vision_attention
from texlens.train.pretrain.augmentation import augmented
from texlens.train.pretrain.batches import COLUMNS, ROWS, Batch
from texlens.train.pretrain.ctc_head import CtcHead, ctc_loss, inked_classes
from texlens.train.pretrain.data import TrainingPictures, dev_pictures
from texlens.train.pretrain.forward import UniformForward, positions, to_patches, vision_rotary
from texlens.train.pretrain.hard_examples import RecentLosses
from texlens.train.pretrain.replicas import average_gradients, copy_from_main
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.run.curves import append_log, log_line, read_log, write_curves
from texlens.train.run.dev_evaluation import DevEvaluator, values_by_name
from texlens.train.run.processes import (
    from_main,
    gathered,
    is_main_process,
    join_processes,
    leave_processes,
    process_count,
    process_number,
    summed,
    wait_for_all,
)
from texlens.train.run.run_folder import MARKER, check_same_settings

Tensors = tuple[Tensor, ...] | list[Tensor]

CHECKPOINT = "checkpoint.pt"
# Settings that may change when a run is resumed; all others decide its result.
_CHANGEABLE = ("minutes", "max_steps", "logging_steps", "dev_minutes", "checkpoint_minutes")


def pretrain(config: PretrainConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train by a recipe and leave the model in `out/model`.

    A run that was stopped goes on from its last checkpoint; `overwrite` throws it away. `out` also
    gets `log.jsonl`, `curves.csv`, `curves.png` and, last, `run.json`.

    Returns what `run.json` holds: steps, pictures, minutes, and the last scores on dev.
    Raises InputError when the data cannot be used or the run in `out` was begun with other
    settings or on another number of GPUs, TexlensError when the gradients stay infinite.
    """
    join_processes(cpu=not torch.cuda.is_available())
    if overwrite and is_main_process():
        for name in ("tokenizer", "model"):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in (MARKER, CHECKPOINT, "log.jsonl"):
            (out / name).unlink(missing_ok=True)
    wait_for_all()
    transformers.utils.logging.disable_progress_bar()
    try:
        run = PretrainRun(config, out)
        if run.checkpoint.is_file():
            run.restore()
        return run.train()
    finally:
        leave_processes()


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
        self.checkpoint, self.log_path = out / CHECKPOINT, out / "log.jsonl"
        self.device = torch.device("cpu")
        if torch.cuda.is_available():  # `join_processes` has chosen one
            self.device = torch.device("cuda", torch.cuda.current_device())
        torch.manual_seed(config.seed)
        torch.set_float32_matmul_precision("high")
        self.progress = _Progress()
        out.mkdir(parents=True, exist_ok=True)

        self.data = TrainingPictures(config, out, self.device)
        self.recent_losses = RecentLosses(self.data.batches)
        self.dev = DevEvaluator(
            {source.name: dev_pictures(source) for source in config.dev},
            ("exact", "edit_tokens"),
            batch_size=256 if self.device.type == "cuda" else None,
            # A network trained for a short while misreads pictures narrower than all of training.
            smallest=(COLUMNS[0] * config.shape.token_pixels, ROWS[0] * config.shape.token_pixels),
        )
        tokenizer = self.data.tokenizer
        self.processor = build_processor(config.shape, tokenizer, config.prompt_config)
        self.network = build_model(config.shape, tokenizer).to(self.device)
        if config.start is not None:
            _load_weights(self.network, config.start)
        batch_vision_attention(self.network)
        # What is read and saved: the mean of the last steps' weights.
        self.average = AveragedModel(self.network, multi_avg_fn=self._average)
        self.forward = UniformForward(self.network, prompt_of(self.processor, config.prompt_config))
        if config.compile:
            self.forward.compile_blocks()
        self.classes = inked_classes(tokenizer)
        self.ctc = CtcHead(config.shape.text_width, int(self.classes.max()) + 1).to(self.device)
        self.parameters = [*self.network.parameters(), *self.ctc.parameters()]
        copy_from_main(self.parameters)
        torch.manual_seed(config.seed + process_number())  # of the augmentation
        self.optimizer = self._optimizer()
        self.eos = tokenizer.convert_tokens_to_ids(IM_END)
        self.pad = tokenizer.convert_tokens_to_ids(PAD)

    # ---- one step -------------------------------------------------------------------------------

    def _optimizer(self) -> torch.optim.Optimizer:
        """AdamW, with weight decay on matrices only."""
        config = self.config
        groups = [
            {
                "params": [p for p in self.parameters if p.ndim >= 2],
                "weight_decay": config.weight_decay,
            },
            {"params": [p for p in self.parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=self.device.type == "cuda"
        )

    def _part_done(self) -> float:
        """How much of the run's budget is used, 0..1."""
        if self.config.max_steps is not None:
            return min(self.progress.step / self.config.max_steps, 1.0)
        assert self.config.minutes is not None
        return min(self.progress.minutes / self.config.minutes, 1.0)

    def _learning_rate(self, done: float) -> float:
        """Linear warm-up, a constant rate, and a linear cool-down to 1 % at the end of the run.

        A constant rate leaves the length of a run open: any checkpoint can be cooled down to a
        finished model (Hägele et al. 2024, arXiv 2405.18392).
        """
        config = self.config
        warm = min((self.progress.step + 1) / config.warmup_steps, 1.0)
        left = min((1 - done) / config.cooldown, 1.0)
        return config.learning_rate * warm * max(left, 0.01)

    def _average(self, kept: Tensors, latest: Tensors, _: object) -> None:
        """Move the averaged weights towards the latest; over fewer steps while the run is young."""
        step = self.progress.step
        torch._foreach_lerp_(kept, latest, 1 - min(self.config.ema_decay, (1 + step) / (10 + step)))

    def _longest(self, done: float) -> int:
        """The longest formula used now, in tokens, in steps of 8 so that groups are kept."""
        config = self.config
        part = done / config.curriculum if config.curriculum else 1.0
        if part >= 1:
            return config.max_tokens
        longest = config.curriculum_tokens * (config.max_tokens / config.curriculum_tokens) ** part
        return int(longest) // 8 * 8 + 8

    def _loss_and_seen(
        self,
        patches: Tensor,
        rotary: tuple[Tensor, Tensor],
        position: Tensor,
        tokens: Tensor,
        labels: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Loss of each token of the answers, 0 on padding; and the visual tokens."""
        with torch.autocast(self.device.type, torch.bfloat16):
            seen = self.forward.see(patches, *rotary)
            logits = self.forward.write(seen, tokens, position)
        losses = functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100, reduction="none"
        )
        return losses.view_as(labels), seen

    def _answers(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs and labels of the language model, targets and lengths of the CTC head."""
        random = self.data.batches.random
        real = batch.tokens >= 0
        tokens = np.where(real, batch.tokens, self.pad)
        labels = np.full((tokens.shape[0], tokens.shape[1] + 1), -100, dtype=np.int64)
        labels[:, :-1] = np.where(real, batch.tokens, -100)
        lengths = real.sum(axis=1)
        labels[np.arange(len(labels)), lengths] = self.eos
        wrong = real & (random.random(tokens.shape) < self.config.token_noise)
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

    def step(self, batch: Batch, done: float) -> Tensor:
        """One optimiser step.

        Returns the language model's loss, the CTC head's, and the length of the gradient, still on
        the device. A gradient that is not finite counts as zero: the weights stay sound, and the
        log counts it.
        """
        config, shape = self.config, self.config.shape
        inputs, labels, targets, counts = self._answers(batch)
        assert config.prompt_config.pixels_per_em is not None
        with torch.no_grad():
            pixels = augmented(
                self.data.pool,
                self._send(batch.chosen),
                batch.rows * shape.token_pixels,
                batch.columns * shape.token_pixels,
                config.prompt_config.pixels_per_em,
                config.augmentation,
            )
            patches = to_patches(pixels, shape.patch, shape.merge)
        head = shape.vision_width // shape.vision_heads
        rotary = vision_rotary(batch.rows, batch.columns, shape.merge, head, self.device)
        prompt = self.forward.prompt
        position = positions(prompt, batch.rows, batch.columns, inputs.shape[1], self.device)
        losses, seen = self._loss_and_seen(patches, rotary, position, inputs, labels)
        counted = labels >= 0
        language = losses.sum() / counted.sum()
        if config.hard_examples:
            self.recent_losses.add(batch.chosen, losses.detach().sum(dim=1) / counted.sum(dim=1))
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
        average_gradients(self.parameters)
        length = nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
        finite = length.isfinite()
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad = torch.where(finite, parameter.grad, 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(done)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update_parameters(self.network)
        return torch.stack([language.detach(), naming.detach(), length.detach()])

    # ---- the run --------------------------------------------------------------------------------

    def train(self) -> dict[str, Any]:
        """Step until the budget is used up; see `pretrain`."""
        config, progress = self.config, self.progress
        self.data.take_present_shards()
        self.network.train()
        began = time.monotonic() - 60 * progress.minutes
        last_dev = last_save = progress.minutes
        window: list[Tensor] = []
        batches: list[str] = []
        window_from = time.monotonic(), progress.pictures
        while (done := self._part_done()) < 1:
            batch = self.data.batches.next(self._longest(done))
            window.append(self.step(batch, done))
            batches.append(batch.shape)
            progress.step += 1
            progress.pictures += int(summed(torch.tensor(len(batch.chosen))))
            progress.minutes = from_main((time.monotonic() - began) / 60)
            self.data.take_new_shards()
            if progress.step % config.logging_steps == 0:
                figures = summed(torch.stack(window).double().cpu()) / process_count()
                finite = figures[:, 2].isfinite()
                figures = figures[finite]
                if not len(figures):
                    raise TexlensError(
                        f"The last {len(window)} gradients up to step {progress.step} were not "
                        "finite: lower learning_rate, and start again with --force."
                    )
                language, naming, length = figures.mean(dim=0).tolist()
                now = time.monotonic()
                rate = (progress.pictures - window_from[1]) / (now - window_from[0])
                record = {
                    "pictures": progress.pictures,
                    "loss": round(language, 5),
                    "ctc_loss": round(naming, 5),
                    "grad_norm": round(length, 4),
                    "skipped": len(window) - len(figures),
                    "learning_rate": round(self._learning_rate(done), 7),
                    "longest": self._longest(done),
                    "pictures_per_second": round(rate, 1),
                    "in_pool": len(self.data.batches),
                }
                lost = [shape for shape, kept in zip(batches, finite, strict=True) if not kept]
                self._log(record | ({"skipped_batches": "; ".join(lost)} if lost else {}))
                window, batches = [], []
                window_from = time.monotonic(), progress.pictures
            if progress.minutes - last_dev >= config.dev_minutes:
                self.evaluate()
                last_dev = progress.minutes = from_main((time.monotonic() - began) / 60)
                window_from = time.monotonic(), progress.pictures
            if progress.minutes - last_save >= config.checkpoint_minutes:
                self.save()
                last_save = progress.minutes
        values = self.evaluate()
        self.save()
        in_pool = int(summed(torch.tensor(len(self.data.batches))))
        summary = {
            **asdict(progress),
            "processes": process_count(),
            "in_pool": in_pool,
            "left_out": self.data.batches.left_out,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "dev": values,
            "config": config.model_dump(mode="json"),
            "versions": runs.provenance("torch", "transformers"),
        }
        if is_main_process():
            runs.write_json(self.out / MARKER, summary)
        return summary

    def evaluate(self) -> dict[str, float]:
        """Read the dev pictures with the averaged weights, log the scores, and plot the curves.

        The first process does it; the others wait, and get no scores.
        """
        if not is_main_process():
            return {}
        averaged = Loaded(self.average.module, self.processor, self.config.prompt_config)
        values = values_by_name(self.dev.evaluate(averaged, self.out))
        if values:
            self._log(values)
        write_curves(read_log(self.log_path), self.out, sets=list(self.dev.sets))
        return values

    def _log(self, values: dict[str, Any]) -> None:
        """Add a line to the log and print it, in the first process."""
        if not is_main_process():
            return
        progress = self.progress
        record = {"step": progress.step, "minutes": round(progress.minutes, 3)} | values
        append_log(self.log_path, record)
        print(log_line(record), file=sys.stderr, flush=True)

    # ---- stopping and going on ------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint to go on from, and the model to read with."""
        own = {
            "order": self.data.order,
            "grouped": self.data.batches.grouped,
            "losses": self.recent_losses.state(),
            "batches_random": self.data.batches.random.bit_generator.state,
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }
        processes = gathered(own)
        if not is_main_process():
            return
        state = {
            "progress": asdict(self.progress),
            "processes": processes,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "ctc": self.ctc.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "config": self.config.model_dump(mode="json"),
            "longest": self._longest(self._part_done()),
        }
        with runs.atomic_write(self.checkpoint) as stream:
            torch.save(state, stream)
        folder = self.out / "model"
        half = {
            name: value.detach().half().cpu().contiguous()
            for name, value in self.average.module.state_dict().items()
            if name != "lm_head.weight"  # tied to the embedding
        }
        self.network.config.dtype = torch.float16
        self.network.save_pretrained(folder, state_dict=half)
        self.network.config.dtype = torch.float32
        self.processor.save_pretrained(folder)
        self.config.prompt_config.save(folder)

    def restore(self) -> None:
        """Go on exactly where the checkpoint was written: the same shards and random numbers.

        Raises InputError when the settings or the number of processes differ.
        """
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        now = self.config.model_dump(mode="json")
        check_same_settings(self.out, state["config"], now, changeable=_CHANGEABLE)
        if len(state["processes"]) != process_count():
            raise InputError(
                f"The run in '{self.out}' has {len(state['processes'])} processes, not "
                f"{process_count()}: resume it with as many, or start another from its model."
            )
        own = state["processes"][process_number()]
        self.progress = _Progress(**state["progress"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.ctc.load_state_dict(state["ctc"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.data.restore(own["order"])
        self.recent_losses.restore(own["losses"])
        self.data.batches.regroup(state["longest"], own["grouped"])
        self.data.batches.random.bit_generator.state = own["batches_random"]
        torch.set_rng_state(own["torch_random"].cpu())
        if own["cuda_random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(own["cuda_random"].cpu())
        if is_main_process():
            kept = read_log(self.log_path, up_to_step=self.progress.step)
            runs.write_json_lines(self.log_path, kept)


def _load_weights(network: Any, folder: Path) -> None:
    """Put a model's weights into a network of its shape.

    Raises InputError when the folder has none, or they are of another shape.
    """
    try:
        given = type(network).from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        network.load_state_dict(given.state_dict())
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The run cannot start from '{folder}': {' '.join(str(error).split())[:200]}"
        ) from error
