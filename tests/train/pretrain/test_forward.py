"""Training's forward pass is the stock class's: same logits, same gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from texlens.train.pretrain.forward import positions, to_patches, vision_rotary
from texlens.train.pretrain.settings import PretrainConfig
from texlens.train.pretrain.train import PretrainRun


def test_logits_and_gradients_are_the_stock_ones(
    tiny: Callable[..., PretrainConfig], tmp_path: Path
) -> None:
    run = PretrainRun(tiny(), tmp_path)
    network, processor, shape = run.network, run.processor, run.config.shape
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4 if parameter.ndim >= 2 else 1)  # loud enough to differ by picture
    rows, columns, batch = 3, 5, 4
    random = np.random.default_rng(0)
    greys = random.integers(0, 256, (batch, 16 * rows, 16 * columns), dtype=np.uint8)
    answers = torch.from_numpy(random.integers(300, run.pad, (batch, 7)))

    text = processor.apply_chat_template(
        run.config.prompt_config.messages(), add_generation_prompt=True, tokenize=False
    )
    inputs = processor(
        text=[text] * batch,
        images=[Image.fromarray(grey).convert("RGB") for grey in greys],
        return_tensors="pt",
    )
    assert inputs["image_grid_thw"].tolist() == [[1, 2 * rows, 2 * columns]] * batch
    ids = torch.cat([inputs["input_ids"], answers], dim=1)
    types = functional.pad(inputs["mm_token_type_ids"], (0, answers.shape[1]))
    stock = network(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=types,
        pixel_values=inputs["pixel_values"],
        image_grid_thw=inputs["image_grid_thw"],
    ).logits[:, -answers.shape[1] - 1 :]

    pixels = (torch.from_numpy(greys).float() / 255 - 1) / 0.5
    patches = to_patches(pixels, shape.patch, shape.merge)
    head = shape.vision_width // shape.vision_heads
    rotary = vision_rotary(rows, columns, shape.merge, head, run.device)
    position = positions(run.forward.prompt, rows, columns, answers.shape[1], run.device)
    ours = run.forward.write(run.forward.see(patches, *rotary), answers, position)
    torch.testing.assert_close(ours, stock, rtol=1e-3, atol=1e-4)
    assert (ours[0] - ours[1]).abs().max() > 0.01  # the pictures matter

    gradients = []
    for logits in (stock, ours):
        network.zero_grad()
        functional.cross_entropy(logits[:, :-1].flatten(0, 1), answers.flatten()).backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=2e-3, atol=1e-5)


def test_padding_on_the_right_changes_nothing_before_it(
    tiny: Callable[..., PretrainConfig], tmp_path: Path
) -> None:
    run = PretrainRun(tiny(), tmp_path)
    seen = torch.randn(1, 6, run.config.shape.text_width)
    short = torch.tensor([[300, 301, 302]])
    long = functional.pad(short, (0, 5), value=run.pad)
    logits = [
        run.forward.write(
            seen, tokens, positions(run.forward.prompt, 2, 3, tokens.shape[1], run.device)
        )
        for tokens in (short, long)
    ]
    torch.testing.assert_close(logits[1][:, :4], logits[0])
