"""How much faster is `texlens train sft` than a plain loop of TRL?

    OMP_NUM_THREADS=1 python benchmarks/train_sft.py [--data FILE.parquet] [--pictures 192]

Both sides fine-tune the same weights by the same LoRA (rank 8 on language model, vision and merger),
in float32, with the same batch, optimiser and threads, without gradient checkpointing, on the same
framed pictures with the same answers, and one whole epoch is timed after one to warm up. The plain
side is TRL's `SFTTrainer` as its documentation sets it up: a table of prompt, completion and images,
its own collator for vision models, transformers' own attention, examples in random order. Ours has
batches of like lengths, vision attention in one call for pictures of equal size, and a process that
opens pictures ahead. Without --data the pictures are formulas of the package's own grammar.

Prints examples a second of both, the ratio of each pair of runs and their median, what of each
batch was padding, and both losses, which show that the two learn the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers
from PIL import Image

from texlens.data.formulas.grammar import generate
from texlens.data.parquet import read_examples, write_examples
from texlens.model.load import EMBEDDED
from texlens.model.processor import load_processor
from texlens.records import Example
from texlens.render import Size, png_many
from texlens.train.data.prepared import prepare_examples
from texlens.train.network.adapters import load_for_training, lora_config
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.train import train_sft
from texlens.train.sft.trainer import FormulaSftTrainer


def drawn_examples(count: int) -> list[Example]:
    random = Random(0)
    formulas = [
        generate(random, tokens=random.randint(10, 70), depth=random.randint(1, 3))
        for _ in range(2 * count)
    ]
    drawn = zip(formulas, png_many(formulas, Size(em_px=14.0)), strict=True)
    found = [(f, picture) for f, picture in drawn if isinstance(picture, bytes)][:count]
    return [Example(str(n), picture, f) for n, (f, picture) in enumerate(found)]


class Clock:
    """The times at which steps began, by the clock and of this process, and tokens given to them."""

    def __init__(self, pad: int) -> None:
        self.pad = pad
        self.began: list[tuple[float, float]] = []
        self.tokens = self.padding = 0

    @contextlib.contextmanager
    def watching(self, trainer: Any) -> Iterator[Clock]:
        """Note every step of this class of trainers while the context lasts."""
        honest = trainer.training_step

        def timed(itself: Any, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            self.began.append((time.perf_counter(), time.process_time()))
            self.tokens += inputs["input_ids"].numel()
            self.padding += int((inputs["input_ids"] == self.pad).sum())
            return honest(itself, model, inputs, *rest, **more)

        trainer.training_step = timed
        try:
            yield self
        finally:
            trainer.training_step = honest

    def seconds(self, steps: int) -> tuple[float, float]:
        """From the first step of the second epoch to the first of the third: clock, processor."""
        (wall, cpu), (wall_after, cpu_after) = self.began[steps], self.began[2 * steps]
        return wall_after - wall, cpu_after - cpu


def ours(config: SftConfig, out: Path) -> tuple[Clock, float]:
    pad = load_processor(str(config.model)).tokenizer.pad_token_id
    with Clock(pad).watching(FormulaSftTrainer) as clock:
        train_sft(config, out)
    from texlens.train.run.curves import read_log

    return clock, read_log(out / "log.jsonl")[-1]["loss"]


def plain(config: SftConfig, table: Any, out: Path) -> tuple[Clock, float]:
    """TRL's documented way, on a table of prompt, completion and images."""
    from transformers import Qwen2_5_VLForConditionalGeneration
    from trl import SFTConfig, SFTTrainer

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        config.model, dtype=torch.float32, attn_implementation="sdpa", use_safetensors=True
    )
    arguments = SFTConfig(
        output_dir=str(out),
        max_steps=config.max_steps,
        per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        lr_scheduler_type="cosine",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        max_length=None,
        logging_steps=config.logging_steps,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=config.seed,
    )
    processor = load_processor(str(config.model))
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=table,
        processing_class=processor,
        peft_config=lora_config(config),
    )
    pad = processor.tokenizer.pad_token_id
    with Clock(pad).watching(SFTTrainer) as clock, contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return clock, losses[-1] if losses else float("nan")


def plain_table(config: SftConfig) -> Any:
    """The examples as they are framed for our side, in TRL's columns."""
    from datasets import Dataset

    loaded = load_for_training(config)
    data = prepare_examples(config.data, loaded, max_length=config.max_length, quiet=True)
    # The image processor's own limits, as our side's prompt_config sets them.
    system, user = loaded.prompt_config.messages()
    rows = [
        {
            "prompt": [system, user],
            "completion": [
                {"role": "assistant", "content": [{"type": "text", "text": row["latex"]}]}
            ],
            "images": [Image.open(io.BytesIO(row["picture"])).convert("RGB")],
        }
        for row in data.table
    ]
    return Dataset.from_list(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(EMBEDDED))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pictures", type=int, default=192)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1, help="of our side; TRL's default is 0")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.utils.logging.set_verbosity_error()
    count = arguments.pictures // arguments.batch * arguments.batch
    steps = count // arguments.batch
    examples = (
        list(read_examples(arguments.data, count)) if arguments.data else drawn_examples(count)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        write_examples(path, examples)
        config = SftConfig.model_validate(
            {
                "model": arguments.model, "trainable_modules": ["language_model", "vision", "merger"],
                "lora": {"r": 8, "lora_alpha": 16}, "data": [{"parquet": path}],
                "max_steps": 2 * steps + 1, "per_device_train_batch_size": arguments.batch, "gradient_accumulation_steps": 1,
                "learning_rate": 1e-4, "device": "cpu", "precision": "float32",
                "dataloader_num_workers": arguments.workers, "logging_steps": steps, "save_steps": 10**6,
                "report_to": [],
            }
        )  # fmt: skip
        table = plain_table(config)
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
            f"{arguments.threads} threads, torch {torch.__version__}, float32, load average "
            f"{os.getloadavg()[0]:.1f}; {count} pictures, batch {arguments.batch}"
        )
        ratios, cpu_ratios = [], []
        for repeat in range(arguments.repeats):
            mine, my_loss = ours(config, Path(folder) / f"ours{repeat}")
            theirs, their_loss = plain(config, table, Path(folder) / f"plain{repeat}")
            (wall, cpu), (their_wall, their_cpu) = mine.seconds(steps), theirs.seconds(steps)
            ratios.append(their_wall / wall)
            cpu_ratios.append(their_cpu / cpu)
            print(
                f"texlens {count / wall:6.2f} examples/s (padding {mine.padding / mine.tokens:.1%}, "
                f"loss {my_loss:.4f})   plain TRL {count / their_wall:6.2f} (padding "
                f"{theirs.padding / theirs.tokens:.1%}, loss {their_loss:.4f})   ratio "
                f"{ratios[-1]:.2f}   processor time of the training process "
                f"{1000 * cpu / count:.0f} and {1000 * their_cpu / count:.0f} ms an example, ratio "
                f"{cpu_ratios[-1]:.2f}",
                flush=True,
            )
        print(
            f"median ratio {statistics.median(ratios):.2f} by the clock, "
            f"{statistics.median(cpu_ratios):.2f} by processor time, of {len(ratios)} pairs of runs"
        )


if __name__ == "__main__":
    main()
