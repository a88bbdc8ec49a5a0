"""Can a small network tell composed handwriting from real ink? The area under its ROC curve.

    python tools/pretrain/tell_apart.py INK CAPTIONS [--hands FILE] [--sheet PNG] [--seed N]

Half of CROHME's training writers teach, the other half test. Each real ink has a composed one beside
it, with the same formula and a hand of the same half (with --hands of that file), rendered by the same pen at the same size. A
network of three convolutions learns for some minutes on a CPU. 0.5 is chance, 1 is always right.
`--sheet` writes 100 real and 100 composed pictures, mixed, and which are which beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from texlens.data.corpora.crohme import Crohme
from texlens.data.pictures.hands.composer import compose
from texlens.data.pictures.hands.open_hands import read_hands
from texlens.data.pictures.hands.writers import Hands
from texlens.data.pictures.ink import Ink, InkStyle, Stroke, render_ink
from texlens.data.preview import contact_sheet
from texlens.engine import Failure, get_engine
from texlens.images import encode_png
from texlens.records import Example

HEIGHT, WIDTH = 48, 160
STYLE = InkStyle(symbol_px=14.0, line_px=1.4, margin_px=2)


def pairs_of(inks: Sequence[Ink], hands: Hands, seed: int) -> list[tuple[Ink, list[Stroke]]]:
    """Real inks, each with the strokes of the same formula composed."""
    drawings = get_engine().draw([ink.reference for ink in inks])
    pairs = []
    for number, (ink, drawing) in enumerate(zip(inks, drawings, strict=True)):
        if not isinstance(drawing, Failure):
            strokes = compose(drawing, hands, np.random.default_rng([seed, number]))
            if not isinstance(strokes, str):
                pairs.append((ink, list(strokes)))
    return pairs


def canvas(strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """A picture of one size; what is larger is shrunk, what is smaller is centred."""
    grey = render_ink(strokes, STYLE)
    factor = min(1.0, HEIGHT / grey.shape[0], WIDTH / grey.shape[1])
    if factor < 1:
        size = [max(1, int(side * factor)) for side in grey.shape[::-1]]
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    page = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    top, left = (HEIGHT - grey.shape[0]) // 2, (WIDTH - grey.shape[1]) // 2
    page[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return page


def tensors(pairs: Sequence[tuple[Ink, list[Stroke]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (n, 1, height, width), ink 1; labels, 1 for composed."""
    pages = [canvas(strokes) for ink, composed in pairs for strokes in (ink.strokes, composed)]
    pictures = 1 - torch.from_numpy(np.array(pages))[:, None].float() / 255
    return pictures, torch.tensor([0.0, 1.0]).repeat(len(pairs))


def area_under_curve(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """The part of (real, composed) pairs in which the composed one has the higher score."""
    order = torch.argsort(scores)
    ranks = torch.empty(len(scores))
    ranks[order] = torch.arange(1, len(scores) + 1, dtype=torch.float32)
    ones = float(labels.sum())
    zeros = len(labels) - ones
    return (float(ranks[labels == 1].sum()) - ones * (ones + 1) / 2) / (ones * zeros)


def learn(pictures: torch.Tensor, labels: torch.Tensor, epochs: int) -> nn.Module:
    """A small convolutional network that says how composed a picture looks."""

    def block(channels: int, out: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)
        ]  # fmt: skip

    layers = [*block(1, 12), *block(12, 24), *block(24, 48), nn.AdaptiveAvgPool2d(1)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, 1))
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.01)
    batches = (len(pictures) + 63) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, epochs * batches)
    for _ in range(epochs):
        for batch in torch.randperm(len(pictures)).split(64):
            loss = nn.functional.binary_cross_entropy_with_logits(
                network(pictures[batch])[:, 0], labels[batch]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def write_sheet(pairs: Sequence[tuple[Ink, list[Stroke]]], path: Path, seed: int) -> None:
    """100 real and 100 composed pictures in random order; `.key` beside it has the kinds."""
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:200]
    kinds = [bool(number % 2) for number in range(len(chosen))]
    examples = []
    for number, (place, composed) in enumerate(zip(chosen, kinds, strict=True)):
        ink, strokes = pairs[place]
        picture = render_ink(strokes if composed else ink.strokes, STYLE)
        examples.append(Example(str(number), encode_png(_image(picture)), str(number)))
    order = np.random.default_rng(seed + 1).permutation(len(examples))
    contact_sheet([examples[place] for place in order]).save(path)
    key = "".join(f"{place}\t{'composed' if kinds[place] else 'real'}\n" for place in order)
    path.with_suffix(".key").write_text(key)


def _image(grey: NDArray[np.uint8]):  # type: ignore[no-untyped-def]
    from PIL import Image

    return Image.fromarray(np.pad(grey, 6, constant_values=255))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ink", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--hands", type=Path, help="open hands, in place of the ink's own")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=2000, help="that teach; half as many test")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    inks = [ink for ink in Crohme(options.ink, captions=options.captions).inks() if ink.symbols]
    random = np.random.default_rng(options.seed)
    writers = sorted({ink.writer for ink in inks})
    teaching = {writer for writer, half in zip(writers, random.random(len(writers)), strict=True)
                if half < 0.5}  # fmt: skip
    torch.manual_seed(options.seed)
    halves = []
    for mine, count in ((True, options.pairs), (False, options.pairs // 2)):
        own = [ink for ink in inks if (ink.writer in teaching) == mine]
        some = [own[place] for place in random.permutation(len(own))[:count]]
        hands = Hands.of_open(read_hands(options.hands)) if options.hands else Hands.of(own)
        halves.append(pairs_of(some, hands, options.seed))
    if options.sheet:
        write_sheet(halves[1], options.sheet, options.seed)
    network = learn(*tensors(halves[0]), options.epochs)
    pictures, labels = tensors(halves[1])
    with torch.no_grad():
        scores = torch.cat([network(part)[:, 0] for part in pictures.split(256)])
    print(f"AUC {area_under_curve(scores, labels):.3f}, {len(labels)} pictures of writers held out, "
          f"seed {options.seed}")  # fmt: skip


if __name__ == "__main__":
    main()
