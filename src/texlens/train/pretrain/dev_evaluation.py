"""How well a network under training reads pictures it does not train on, by reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from texlens.model.prompt_config import PromptConfig
from texlens.reading.pictures.framing import Frame, with_margins
from texlens.train.pretrain.augmentation import Shard
from texlens.train.pretrain.batches import COLUMNS, ROWS

_SHORT_TOKENS = 80  # the bars of the project are set on formulas of at most so many tokens


@dataclass(frozen=True, slots=True)
class DevScore:
    """Exact match and mean token edit distance (0..1), over all and over short formulas."""

    n: int
    exact: float
    edit_tokens: float
    n_short: int
    exact_short: float
    edit_tokens_short: float


def frame(
    grey: NDArray[np.uint8], scale: float, prompt_config: PromptConfig, token_pixels: int
) -> Any:
    """A picture cropped to its ink, scaled, with the margins of training, as a PIL picture.

    White on the right and below fills it up to whole visual tokens, and to the smallest canvas of
    training: a network trained for a short while misreads narrower ones.
    """
    picture = Image.fromarray(grey)
    height, width = grey.shape
    room = prompt_config.max_pixels / (height * width)
    scale = min(scale, room**0.5 * 0.9)
    if scale != 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    layout = Frame(prompt_config.pixels_per_em or 0.0, multiple=token_pixels)
    smallest = (COLUMNS[0] * token_pixels, ROWS[0] * token_pixels)
    return with_margins(picture, layout, smallest).convert("RGB")


def read_dev(
    network: Any,
    processor: Any,
    prompt_config: PromptConfig,
    shard: Shard,
    *,
    token_pixels: int,
    pictures_per_batch: int,
) -> tuple[DevScore, list[str]]:
    """Read the pictures of a shard greedily, in batches of like size; the score and the readings."""
    assert prompt_config.pixels_per_em is not None
    bounds = np.concatenate([[0], np.cumsum(shard.heights * shard.widths)])
    pictures = [
        frame(
            shard.pixels[start:stop].reshape(height, width),
            prompt_config.pixels_per_em / ppe,
            prompt_config,
            token_pixels,
        )
        for start, stop, height, width, ppe in zip(
            bounds[:-1], bounds[1:], shard.heights, shard.widths, shard.pixels_per_em, strict=True
        )
    ]
    text = processor.apply_chat_template(
        prompt_config.messages(), add_generation_prompt=True, tokenize=False
    )
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    readings = [""] * len(pictures)
    order = sorted(range(len(pictures)), key=lambda i: pictures[i].width * pictures[i].height)
    for at in range(0, len(order), pictures_per_batch):
        rows = order[at : at + pictures_per_batch]
        inputs = processor(
            text=[text] * len(rows),
            images=[pictures[row] for row in rows],
            padding=True,
            return_tensors="pt",
        ).to(device)
        with torch.inference_mode():
            written = network.generate(
                **inputs, max_new_tokens=prompt_config.max_new_tokens, do_sample=False
            )
        answers = processor.tokenizer.batch_decode(
            written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for row, answer in zip(rows, answers, strict=True):
            readings[row] = answer.strip()
    network.train(was_training)
    return score_dev(shard.formulas, readings), readings


def score_dev(references: list[str], readings: list[str]) -> DevScore:
    """Compare readings with the reference, by tokens that stand apart by spaces."""
    from rapidfuzz.distance import Levenshtein

    pairs = [
        (reference.split(), reading.split())
        for reference, reading in zip(references, readings, strict=True)
    ]
    distances = np.array([Levenshtein.normalized_distance(*pair) for pair in pairs])
    exact = np.array([reference == reading for reference, reading in pairs], dtype=np.float64)
    short = np.array([len(reference) <= _SHORT_TOKENS for reference, _ in pairs])
    return DevScore(
        n=len(pairs),
        exact=float(exact.mean()),
        edit_tokens=float(distances.mean()),
        n_short=int(short.sum()),
        exact_short=float(exact[short].mean()) if short.any() else 0.0,
        edit_tokens_short=float(distances[short].mean()) if short.any() else 0.0,
    )


def empty_cache(device: torch.device) -> None:
    """Give memory that reading took back to the training."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
