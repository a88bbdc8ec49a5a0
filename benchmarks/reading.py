"""How much faster does `Reader.read_many` read than the stock `generate`, one picture at a time?

    python benchmarks/reading.py [--model FOLDER] [--backend auto] [--int8] [--data FILE.parquet[:FIRST:LAST]]
                                 [--pictures 128] [--batch-size 16] [--threads N] [--rounds 3]

Ours is the reader as users get it, with the backend that it chooses. Both sides open and frame the
same pictures and run the same weights in float32, greedily, with the same token limit and number of
threads, after a warm-up: once, without constrained decoding and rereading, which `generate` does not
have. The baseline is transformers' own class with its own (sdpa) attention. The two take turns, and
each round gives a ratio by the clock and one by processor time, since other work on the machine
disturbs the first. Also printed: the milliseconds of a picture alone, what constrained decoding and
rereading (the defaults) cost, and on how many pictures the two wrote the same tokens.

Without --data the pictures are formulas of the package's own grammar, rendered by MathJax.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from texlens.data.formulas.grammar import generate
from texlens.data.parquet import read_examples
from texlens.model.load import EMBEDDED
from texlens.reading import Reader
from texlens.reading.pictures.framing import frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.records import Reading
from texlens.render import Size, png_many


def rendered_formulas(count: int) -> list[bytes]:
    random = Random(0)
    formulas = [
        generate(random, tokens=random.randint(10, 70), depth=random.randint(1, 3))
        for _ in range(2 * count)
    ]
    rendered = png_many(formulas, Size(em_px=14.0))
    return [picture for picture in rendered if isinstance(picture, bytes)][:count]


def real_pictures(source: str, count: int) -> list[bytes]:
    """The pictures of a Parquet file, or of some of its rows (`FILE:FIRST:LAST`)."""
    path, *rows = source.split(":")
    first, last = map(int, rows) if rows else (0, count)
    examples = list(read_examples(Path(path), last))[first:]
    return [example.image for example in examples[:count]]


class StockReader:
    """transformers' class and `generate`, one picture at a time."""

    def __init__(self, reader: Reader, model: str, threads: int) -> None:
        import torch
        from transformers import Qwen2_5_VLForConditionalGeneration

        from texlens.model.processor import load_processor

        torch.set_num_threads(threads)
        self.reader = reader
        self.processor = load_processor(model)
        self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            model, dtype=torch.float32, attn_implementation="sdpa", use_safetensors=True
        ).eval()
        self.no_gradients = torch.inference_mode

    def read(self, content: bytes) -> list[int]:
        """The tokens of one picture."""
        reader, prompt_config = self.reader, self.reader.prompt_config
        picture = open_picture(content)
        if reader.frame is not None:
            picture = frame_picture(picture, reader.frame)
        inputs = self.processor(
            text=[reader.backend.prompt],
            images=[picture.convert("RGB")],
            return_tensors="pt",
            images_kwargs={
                "size": {
                    "shortest_edge": prompt_config.min_pixels, "longest_edge": prompt_config.max_pixels
                }
            },
        )  # fmt: skip
        with self.no_gradients():
            output = self.model.generate(
                **inputs, max_new_tokens=reader.max_new_tokens, do_sample=False, use_cache=True
            )
        written: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
        return written


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock and of processor time."""

    clock: float
    processor: float


def spent(call: Callable[[], Any]) -> tuple[Any, Spent]:
    clock, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, Spent(time.perf_counter() - clock, time.process_time() - processor)


def same_tokens(
    stock: StockReader, readings: Sequence[Reading], written: Sequence[Sequence[int]]
) -> int:
    tokenizer, ends = stock.processor.tokenizer, set(stock.reader.backend.end_tokens)
    return sum(
        [token.text for token in reading.tokens]
        == [tokenizer.decode([token]) for token in tokens if token not in ends]
        for reading, tokens in zip(readings, written, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(EMBEDDED))
    parser.add_argument("--backend", choices=("auto", "torch", "onnx"), default="auto")
    parser.add_argument("--int8", action="store_true", help="ours with 8 bits, theirs in float32")
    parser.add_argument("--data")
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    pictures = (
        real_pictures(arguments.data, arguments.pictures)
        if arguments.data
        else rendered_formulas(arguments.pictures)
    )
    options: dict[str, Any] = {"backend": arguments.backend, "batch_size": arguments.batch_size}
    options["quantisation"] = "int8" if arguments.int8 else None
    reader = Reader(arguments.model, constrained=False, reread=False, **options)
    default = Reader(arguments.model, **options)
    stock = StockReader(reader, arguments.model, arguments.threads)
    for picture in pictures[:3]:  # warm-up
        stock.read(picture)
        reader.read(picture)
    list(default.read_many(pictures[:16]))

    count = len(pictures)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} "
        f"threads, float32, load average {os.getloadavg()[0]:.1f}; {count} pictures, batches of "
        f"{reader.batch_size}, backend {type(reader.backend).__name__}"
    )
    rounds: list[tuple[Spent, Spent]] = []
    for number in range(1, arguments.rounds + 1):
        readings, ours = spent(lambda: list(reader.read_many(pictures)))
        written, theirs = spent(lambda: [stock.read(picture) for picture in pictures])
        rounds.append((ours, theirs))
        print(
            f"round {number}: ours {count / ours.clock:.1f} pictures/s "
            f"({1000 * ours.processor / count:.1f} ms of processor each), stock "
            f"{count / theirs.clock:.1f} ({1000 * theirs.processor / count:.1f} ms); ratio "
            f"{theirs.clock / ours.clock:.2f} by the clock, "
            f"{theirs.processor / ours.processor:.2f} by processor time",
            flush=True,
        )
    alone = [spent(lambda p=p: reader.read(p))[1] for p in pictures]  # type: ignore[misc]
    _, usual = spent(lambda: list(default.read_many(pictures)))
    clock = statistics.median(theirs.clock / ours.clock for ours, theirs in rounds)
    processor = statistics.median(theirs.processor / ours.processor for ours, theirs in rounds)
    length = statistics.mean(len(reading.tokens) for reading in readings)
    print(f"ratio            {clock:.2f} by the clock, {processor:.2f} by processor time (medians)")
    print(
        f"alone            {1000 * statistics.median(s.clock for s in alone):.0f} ms median, "
        f"{1000 * statistics.median(s.processor for s in alone):.0f} ms of processor"
    )
    print(
        f"by default       {count / usual.clock:.1f} pictures/s, "
        f"{1000 * usual.processor / count:.1f} ms of processor each (constrained, with rereading)"
    )
    print(
        f"same tokens      {same_tokens(stock, readings, written)} of {count}, "
        f"{length:.0f} tokens each on average"
    )


if __name__ == "__main__":
    main()
