"""How much faster is reading in batches than the stock `generate`, one picture at a time?

    python benchmarks/reading.py [--model FOLDER] [--data FILE.parquet] [--pictures 128]
                                 [--batch-size N] [--threads N]

Without --data the pictures are formulas of the package's own grammar, rendered by MathJax. Both sides
open and frame the same pictures and run the same weights in float32, greedily, with a cache, the
same token limit and the same threads, after a warm-up; the baseline is transformers' own class with
its own (sdpa) attention. Prints pictures a second of both, their ratio, the median and 90th
percentile of single pictures, and on how many pictures the two gave the same tokens.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch

from texlens.data.formulas.grammar import generate
from texlens.data.parquet import read_examples
from texlens.model.load import EMBEDDED, load_model
from texlens.reading import Reader
from texlens.reading.pictures.framing import frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.render import Size, png_many


def rendered_formulas(count: int) -> list[bytes]:
    random = Random(0)
    formulas = [
        generate(random, tokens=random.randint(10, 70), depth=random.randint(1, 3))
        for _ in range(2 * count)
    ]
    rendered = png_many(formulas, Size(em_px=14.0))
    return [picture for picture in rendered if isinstance(picture, bytes)][:count]


class StockReader:
    """transformers' class and `generate`, one picture at a time."""

    def __init__(self, reader: Reader, model: str) -> None:
        from transformers import Qwen2_5_VLForConditionalGeneration

        self.reader = reader
        self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            model, dtype=torch.float32, attn_implementation="sdpa", use_safetensors=True
        ).eval()

    def read(self, content: bytes) -> list[int]:
        """The tokens of one picture."""
        reader, prompt_config = self.reader, self.reader.prompt_config
        picture = open_picture(content)
        if reader.frame is not None:
            picture = frame_picture(picture, reader.frame)
        inputs = reader.backend.processor(
            text=[reader.backend.prompt],
            images=[picture.convert("RGB")],
            return_tensors="pt",
            images_kwargs={
                "size": {
                    "shortest_edge": prompt_config.min_pixels, "longest_edge": prompt_config.max_pixels
                }
            },
        )  # fmt: skip
        with torch.inference_mode():
            output = self.model.generate(
                **inputs, max_new_tokens=reader.max_new_tokens, do_sample=False, use_cache=True
            )
        written: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
        return written


def timed(calls: Iterator[Any]) -> tuple[list[Any], list[float]]:
    results, seconds = [], []
    start = time.perf_counter()
    for result in calls:
        now = time.perf_counter()
        results.append(result)
        seconds.append(now - start)
        start = now
    return results, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(EMBEDDED))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--batch-size", type=int, help="default: the reader's own")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pictures = (
        [example.image for example in read_examples(arguments.data, arguments.pictures)]
        if arguments.data
        else rendered_formulas(arguments.pictures)
    )
    loaded = load_model(arguments.model, dtype="float32", device="cpu")
    # As the baseline reads: once, unconstrained.
    reader = Reader(loaded, batch_size=arguments.batch_size, constrained=False, reread=False)
    stock = StockReader(reader, arguments.model)
    for picture in pictures[:3]:  # warm-up
        stock.read(picture)
        reader.read(picture)
    list(reader.read_many(pictures[:16]))

    batched, batch_seconds = timed(iter(reader.read_many(pictures)))
    _, single_seconds = timed(map(reader.read, pictures))
    stock_tokens, stock_seconds = timed(map(stock.read, pictures))

    count, ends = len(pictures), set(reader.backend.decoder.end_tokens)
    tokenizer = loaded.processor.tokenizer
    same = sum(
        [token.text for token in reading.tokens]
        == [tokenizer.decode([token]) for token in tokens if token not in ends]
        for reading, tokens in zip(batched, stock_tokens, strict=True)
    )
    length = statistics.mean(len(reading.tokens) for reading in batched)
    ours, theirs = sum(batch_seconds), sum(stock_seconds)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, torch {torch.__version__}, float32, load average "
        f"{os.getloadavg()[0]:.1f}"
    )
    print(
        f"{count} pictures, {length:.0f} tokens each on average, at most "
        f"{reader.max_new_tokens}; batches of {reader.batch_size}; lean pass: "
        f"{reader.backend.decoder.is_lean}"
    )
    print(
        f"batched reading   {count / ours:8.2f} pictures/s, {ours / count * 1000:.0f} ms a picture"
    )
    print(f"stock, one by one {count / theirs:8.2f} pictures/s")
    print(f"ratio             {theirs / ours:8.2f}")
    typical = statistics.median(stock_seconds) * count / ours
    print(
        f"ratio to a median {typical:8.2f}  (of the stock class; fairer where others compute too)"
    )
    deciles = statistics.quantiles(single_seconds, n=10)
    print(
        f"a single picture  {statistics.median(single_seconds) * 1000:8.0f} ms median, "
        f"{deciles[8] * 1000:.0f} ms 90th percentile "
        f"(stock: {statistics.median(stock_seconds) * 1000:.0f} ms median)"
    )
    print(f"same tokens       {same} of {count}")


if __name__ == "__main__":
    main()
